//! Word positions of the witness and of the claim, and the bounds of both.
//!
//! The witness, in words: the prologue and the entries of a session window (`session_claim::layout`,
//! its trace root and delta digest unread); [`head`]; the settings' text; the model's facts; two
//! words for each kind of the plan; [`SLOTS`] words for each cell; then for each cell what it opens
//! anew, row by row. A row is its path (in the node's tree, then in the top; in the tree of the
//! weights), room for the words that stand before it when it is hashed, and its bytes, filled up to
//! a word.

/// Most positions of a trace.
pub const MAX_POSITIONS: usize = 8192;
/// Most cells of a claim.
pub const MAX_CELLS: usize = 512;
/// Kinds of cells: the nodes of a trace.
pub const KINDS: usize = 21;
/// Most layers of a model.
pub const MAX_LAYERS: u32 = 128;
/// Most values of a row that is opened whole.
pub const MAX_ROW: u32 = 16384;
/// Most elements of a row of logits.
pub const MAX_VOCABULARY: u32 = 1 << 18;
/// Most bytes of the settings' text.
pub const MAX_SETTINGS_BYTES: usize = 512;
/// Most rows that are kept for later cells.
pub const MAX_KEPT: usize = 256;
/// Words for opened rows: 1 MiB.
pub const ROOM: usize = 1 << 18;

/// Words that follow the entries.
pub mod head {
    /// Root of the tree over the nodes.
    pub const TOP: usize = 0;
    pub const BEACON: usize = 8;
    /// Number of the beacon's block (`u64`).
    pub const BEACON_NUMBER: usize = 16;
    /// 1: `ggml-x86-avx2-1`, 2: `ggml-x86-avx512-1`.
    pub const REFERENCE: usize = 18;
    pub const COVERED_FIRST: usize = 19;
    pub const COVERED_COUNT: usize = 20;
    pub const KINDS: usize = 21;
    pub const SETTINGS_BYTES: usize = 22;
    /// Layers, on which the number of the facts' words depends.
    pub const LAYERS: usize = 23;
    pub const WORDS: usize = 32;
}

/// Where the rows of a cell come from.
pub const SLOTS: usize = 4;
/// The row follows in the witness.
pub const FRESH: u32 = 0;
/// The row follows, and later cells may use it.
pub const KEEP: u32 = 1;
/// The row that was kept as number 0; then 1, and so on.
pub const KEPT: u32 = 2;

/// The public claim: [`claim::HEAD`] claim words, then one for each kind.
pub mod claim {
    pub const KIND_AND_VERSION: usize = 0;
    pub const HEADER_DIGEST: usize = 1;
    pub const CHAIN_ID: usize = 2;
    pub const PRICE: usize = 9;
    pub const TOKENS_AFTER: usize = 10;
    pub const STATE_AFTER: usize = 11;
    /// Completion tokens and entries before the context: two `u64` at the end.
    pub const BEFORE: usize = 12;
    /// The seven sizes of the model and the positions, eight big-endian `u32`.
    pub const SHAPE: usize = 13;
    pub const TRACE_ROOT: usize = 14;
    pub const SETTINGS: usize = 15;
    /// Name of the arithmetic: ASCII, then zeros.
    pub const REFERENCE: usize = 16;
    pub const MODEL: usize = 17;
    pub const BEACON_NUMBER: usize = 18;
    pub const BEACON: usize = 19;
    /// First position from which cells are drawn, and their number: two `u32` at the end.
    pub const COVERED: usize = 20;
    pub const CELLS: usize = 21;
    pub const KINDS: usize = 22;
    pub const HEAD: usize = 23;

    /// Words in a kind's claim word, big-endian: kind, draws, operation, tolerance in units of 2^-24
    /// (0: exact), then the population (`u64`) and zeros.
    pub const ROW_KIND: usize = 0;
    pub const ROW_DRAWS: usize = 1;
    pub const ROW_OPERATION: usize = 2;
    pub const ROW_TOLERANCE: usize = 3;
    pub const ROW_POPULATION: usize = 4;

    /// Words of the longest claim, and the padding of SHA-256.
    pub const MAX_WORDS: usize = (HEAD + super::KINDS) * 8 + 16;

    /// Kind 3 (`sample`), version 1.
    pub const KIND: u32 = 3;
    pub const VERSION: u32 = 1;
}
