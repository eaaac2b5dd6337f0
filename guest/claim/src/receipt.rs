//! Digests of RISC Zero's claims, as `risc0_binfmt::tagged_struct` makes them: SHA-256 over the
//! digest of a tag, digests, words, and the number of digests (two bytes).

use crate::hash::{bit_length, Sha, Words32};

/// State with which SHA-256 begins.
pub const SHA256_INIT: Words32 = [
    0x67e6096a, 0x85ae67bb, 0x72f36e3c, 0x3af54fa5, 0x7f520e51, 0x8c68059b, 0xabd9831f, 0x19cde05b,
];
/// SHA-256 of the text `risc0.Output`.
pub const OUTPUT_TAG: Words32 = [
    0xb3feea77, 0x478ba766, 0xd7e07d74, 0x846217bb, 0x56f55f08, 0x9a008748, 0xa33de65b, 0xd459352d,
];
/// SHA-256 of the text `risc0.ReceiptClaim`.
pub const RECEIPT_CLAIM_TAG: Words32 = [
    0xcdef1fcb, 0x649a2d1f, 0xbfbb5c97, 0x291e166e, 0x0c4b4314, 0xb86099bb, 0x17d7f54d, 0xaf486be8,
];
/// SHA-256 of the text `risc0.Assumption`.
pub const ASSUMPTION_TAG: Words32 = [
    0xf624b59f, 0x3ce55d5d, 0xebdfb5e0, 0x6658fd62, 0x676f6778, 0xb0582fa2, 0x468ac471, 0xe82e5a50,
];
/// SHA-256 of the text `risc0.Assumptions`.
pub const ASSUMPTIONS_TAG: Words32 = [
    0x428d378e, 0x9878f056, 0x91b80bdf, 0x0fa85d2f, 0x8c44788e, 0x1f327b2a, 0x11e23292, 0x39681824,
];
/// Digest of the machine after a program has ended: `risc0.SystemState` of zeros.
pub const HALTED: Words32 = [
    0x71c2aca3, 0x96894117, 0xe5840b34, 0xf43e0fa9, 0xc7229dc4, 0xd8aa449e, 0x319cec22, 0xe2b81e3e,
];

const ZERO: Words32 = [0; 8];

/// A tag and two digests: a program's output (journal digest, assumptions), an assumption (claim,
/// control root), or a list of assumptions (first, rest).
pub fn pair<S: Sha>(sha: &mut S, tag: &Words32, first: &Words32, second: &Words32) -> Words32 {
    let mut blocks = [0; 32];
    blocks[..8].copy_from_slice(tag);
    blocks[8..16].copy_from_slice(first);
    blocks[16..24].copy_from_slice(second);
    // The number two in two bytes, then the marker of SHA-256.
    blocks[24] = 0x0080_0002;
    blocks[31] = bit_length(98);
    let mut digest = ZERO;
    sha.start(&mut digest, &SHA256_INIT, &blocks);
    digest
}

/// Digest of the claim "`image_id` ended with success, without input or assumptions, and published
/// what has the SHA-256 `journal`" (`risc0_zkvm::ReceiptClaim::ok`).
pub fn success<S: Sha>(sha: &mut S, image_id: &Words32, journal: &Words32) -> Words32 {
    let output = pair(sha, &OUTPUT_TAG, journal, &ZERO);
    let mut blocks = [0; 48];
    blocks[..8].copy_from_slice(&RECEIPT_CLAIM_TAG);
    // Zeros for the input, and for the exit status at the end.
    blocks[16..24].copy_from_slice(image_id);
    blocks[24..32].copy_from_slice(&HALTED);
    blocks[32..40].copy_from_slice(&output);
    // The number four in two bytes, then the marker of SHA-256.
    blocks[42] = 0x0080_0004;
    blocks[47] = bit_length(170);
    let mut digest = ZERO;
    sha.start(&mut digest, &SHA256_INIT, &blocks);
    digest
}

/// Digest of the list `rest` with one more assumption before it: that the claim `claim` is proven
/// under the control root of the program that assumes it (zeros).
pub fn assume<S: Sha>(sha: &mut S, claim: &Words32, rest: &Words32) -> Words32 {
    let assumption = pair(sha, &ASSUMPTION_TAG, claim, &ZERO);
    pair(sha, &ASSUMPTIONS_TAG, &assumption, rest)
}
