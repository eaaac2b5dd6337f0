//! Word positions of the witness and of the claim.
//!
//! A *word* is a `u32` in little-endian memory; a *claim word* is 32 bytes, big-endian, as a
//! contract would decode it: eight words. The witness is a sequence of 64-byte blocks (sixteen
//! words): eight blocks of prologue, then the entries, each laid out exactly as it is hashed and
//! filled up to a whole block.

/// Words in a block of SHA-256.
pub const BLOCK_WORDS: usize = 16;
/// Words that the guest asks for at a time: 1,024 bytes, one page, one transfer of the circuit.
pub const CHUNK_WORDS: usize = 256;

/// Header: ten claim words, in this order.
pub mod header {
    pub const CHAIN_ID: usize = 0;
    pub const MARKETPLACE: usize = 1;
    pub const SESSION_ID: usize = 2;
    pub const HOST: usize = 3;
    pub const CLIENT: usize = 4;
    pub const MODEL_ID: usize = 5;
    pub const WEIGHTS_ROOT: usize = 6;
    pub const PRICE: usize = 7;
    pub const SEED: usize = 8;
    pub const SALT: usize = 9;
    pub const WORDS: usize = 80;
}

/// Prologue of the witness: eight blocks.
pub mod prologue {
    pub const HEADER: usize = 0;
    pub const DELTA_DIGEST: usize = 80;
    pub const TRACE_ROOT: usize = 88;
    pub const CHECKPOINT: usize = 96;
    pub const ENTRIES_BEFORE: usize = 98;
    pub const TOKENS_BEFORE: usize = 100;
    pub const LAST_KIND: usize = 102;
    pub const ENTRY_COUNT: usize = 103;
    pub const PREVIOUS_STATE: usize = 104;
    pub const LAST_ENTRY: usize = 112;
    pub const WORDS: usize = 128;
}

/// An entry: nineteen words, the tokens, then room for the padding of SHA-256.
pub mod entry {
    pub const NUMBER: usize = 0;
    pub const KIND: usize = 1;
    pub const TOKEN_COUNT: usize = 2;
    pub const SAMPLER: usize = 3;
    pub const SAMPLER_WORDS: usize = 8;
    pub const TEXT_DIGEST: usize = 11;
    pub const TOKENS: usize = 19;
    /// Marker and bit length that SHA-256 appends.
    pub const PADDING_WORDS: usize = 3;
    /// Bytes hashed before the words above: domain tag, seed and salt.
    pub const PREFIX_BYTES: u32 = 128;
    /// Most tokens an entry may hold, so that its bit length fits 32 bits.
    pub const MAX_TOKENS: u32 = 1 << 24;

    /// Whole blocks that an entry of `token_count` tokens takes up.
    pub const fn blocks(token_count: u32) -> u32 {
        (TOKENS as u32 + token_count + PADDING_WORDS as u32).div_ceil(super::BLOCK_WORDS as u32)
    }
}

/// Kinds of entry, and of "the entry before" (`NONE` before the first).
pub mod kind {
    pub const NONE: u32 = 0;
    pub const PROMPT: u32 = 1;
    pub const COMPLETION: u32 = 2;
    pub const END: u32 = 3;
}

/// The public claim: seventeen claim words.
pub mod claim {
    pub const KIND_AND_VERSION: usize = 0;
    pub const HEADER_DIGEST: usize = 1;
    pub const CHAIN_ID: usize = 2;
    pub const PRICE: usize = 9;
    pub const CHECKPOINT: usize = 10;
    pub const TOKENS_BEFORE: usize = 11;
    pub const TOKENS_AFTER: usize = 12;
    pub const STATE_BEFORE: usize = 13;
    pub const STATE_AFTER: usize = 14;
    pub const DELTA_DIGEST: usize = 15;
    pub const TRACE_ROOT: usize = 16;
    /// Words of the whole claim: 544 bytes.
    pub const WORDS: usize = 17 * 8;

    /// Kind 1 (`session`), version 1: two big-endian `u32` at the end of the first claim word.
    pub const SESSION_KIND: u32 = 1;
    pub const VERSION: u32 = 1;
}

/// The claim of a whole session: a head of seventeen claim words, then four a part.
pub mod aggregate {
    pub const KIND_AND_VERSION: usize = 0;
    pub const HEADER_DIGEST: usize = 1;
    pub const CHAIN_ID: usize = 2;
    pub const PRICE: usize = 9;
    /// Image id of the guest that proved the parts.
    pub const PART_IMAGE: usize = 10;
    pub const FIRST_CHECKPOINT: usize = 11;
    pub const CHECKPOINTS: usize = 12;
    pub const TOKENS_BEFORE: usize = 13;
    pub const TOKENS_AFTER: usize = 14;
    pub const STATE_BEFORE: usize = 15;
    pub const STATE_AFTER: usize = 16;
    /// Words of the head: 544 bytes.
    pub const HEAD_WORDS: usize = 17 * 8;

    /// Claim words of a part's row.
    pub const ROW_TOKENS_AFTER: usize = 0;
    pub const ROW_STATE_AFTER: usize = 1;
    pub const ROW_DELTA_DIGEST: usize = 2;
    pub const ROW_TRACE_ROOT: usize = 3;
    /// Words of a row: 128 bytes.
    pub const ROW_WORDS: usize = 4 * 8;

    /// Most parts of a claim: 64,544 bytes, under the 64 KiB of a bundle's journal.
    pub const MAX_PARTS: usize = 500;
    /// Room for the longest claim and the padding of SHA-256, which is half a block: the claim ends
    /// in the middle of one.
    pub const MAX_WORDS: usize = journal_words(MAX_PARTS) + super::BLOCK_WORDS / 2;

    /// Words of a claim of `parts` parts.
    pub const fn journal_words(parts: usize) -> usize {
        HEAD_WORDS + ROW_WORDS * parts
    }

    /// Kind 2 (`aggregate`), version 1, as in a session claim.
    pub const KIND: u32 = 2;
    pub const VERSION: u32 = 1;

    /// The witness: one block, image id and number of parts, then the parts.
    pub const WITNESS_IMAGE: usize = 0;
    pub const WITNESS_PARTS: usize = 8;
    /// A part: a session claim and room for the padding of SHA-256, nine blocks.
    pub const PART_WORDS: usize = super::claim::WORDS + super::BLOCK_WORDS / 2;
}

/// Where the witness comes from: standard input in the guest, a slice in tests.
pub trait Witness {
    /// Fills `chunk` from the start with the next words; returns how many came. Fewer than
    /// [`CHUNK_WORDS`] means that the witness ends here.
    fn read(&mut self, chunk: &mut [u32; CHUNK_WORDS]) -> usize;
}

/// A witness that is read in pieces of the reader's length.
pub trait Pieces {
    /// Fills `piece` with the next words; false when the witness ends before.
    fn fill(&mut self, piece: &mut [u32]) -> bool;
}
