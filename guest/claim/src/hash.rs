//! SHA-256 by blocks, with domain tags that cost nothing.
//!
//! Every hash of the protocol begins with a 64-byte block that holds an ASCII tag and zeros. The
//! state of SHA-256 after that block is a constant, so the tag is free inside the guest.

/// Thirty-two bytes as eight words of little-endian memory.
pub type Words32 = [u32; 8];

/// The compression function of SHA-256 over whole blocks (a multiple of sixteen words).
pub trait Sha {
    /// Writes to `to` the state after `blocks`, from the state `from`.
    fn start(&mut self, to: &mut Words32, from: &Words32, blocks: &[u32]);

    /// Absorbs `blocks` into `state`.
    fn update(&mut self, state: &mut Words32, blocks: &[u32]);
}

/// State after the block `platformless-ai/v1/session-header`.
pub const HEADER_TAG: Words32 = [
    0x59f69fa5, 0x52aec9d3, 0x162fd228, 0x358d564e, 0x1572ec2c, 0xac705153, 0xc6851797, 0x7ff292ad,
];
/// State after the block `platformless-ai/v1/initial-state`.
pub const INITIAL_STATE_TAG: Words32 = [
    0x3c6450ac, 0x549168ef, 0xcd57ec6f, 0x4d9a0dd9, 0x887f9525, 0x173e6c55, 0xc0bf87d5, 0x4f0b8c21,
];
/// State after the block `platformless-ai/v1/entry`.
pub const ENTRY_TAG: Words32 = [
    0xba33ba09, 0xe2e851a0, 0x3d5c589d, 0xd2911875, 0xc5a04c4a, 0x92c940a5, 0x1ab46e66, 0x5445ec56,
];
/// State after the block `platformless-ai/v1/state`.
pub const STATE_TAG: Words32 = [
    0x67000968, 0xcbf86e6b, 0x25e703c3, 0xe22ba387, 0x6493b1fd, 0x06d40db9, 0xd335c7d3, 0x2343347f,
];

/// The byte 0x80 that ends a message, as a word.
pub(crate) const END_MARKER: u32 = 0x80;

/// Bit length of a message of `bytes` bytes, as the last word of its padding.
pub(crate) const fn bit_length(bytes: u32) -> u32 {
    (bytes * 8).swap_bytes()
}
