//! SHA-256 of byte strings whose tag is already absorbed, and paths in trees.

pub use session_claim::{Sha, Words32};

use crate::fault::Fault;

const END_MARKER: u32 = 0x80;
const BLOCK_WORDS: usize = 16;
/// Words that the circuit takes at a time.
const MOST_WORDS: usize = 256;
const TAG_BYTES: u32 = 64;
/// Words that padding may take behind a message.
pub const PADDING_WORDS: usize = 18;

/// State after the block `platformless-ai/v1/trace-leaf`.
pub const TRACE_LEAF_TAG: Words32 = [
    0xf40518e4, 0x28957078, 0x293cc376, 0xb91a2580, 0x17ab80d0, 0xfe29b48a, 0xd4279217, 0xdc4b720e,
];
/// State after the block `platformless-ai/v1/trace-node`.
pub const TRACE_NODE_TAG: Words32 = [
    0x70a5964c, 0x441fbd39, 0x79d9f918, 0x54c8705d, 0x2d3e6d82, 0x01231601, 0x7065aa9b, 0xfacb7872,
];
/// State after the block `platformless-ai/v1/trace-root`.
pub const TRACE_ROOT_TAG: Words32 = [
    0xba9d79dd, 0xb22e157e, 0x301df9dd, 0x84435ea0, 0xd01f4610, 0x8f090ded, 0xb210f5e0, 0x0b9c6666,
];
/// State after the block `platformless-ai/v1/trace-challenge`.
pub const TRACE_CHALLENGE_TAG: Words32 = [
    0x80457106, 0xbfb906db, 0xe6f011b4, 0x359d44c5, 0x4059477f, 0xda200d23, 0x3fa988ab, 0x25030bbd,
];
/// State after the block `platformless-ai/v1/trace-draw`.
pub const TRACE_DRAW_TAG: Words32 = [
    0x3f4eca5b, 0xc7e76fc0, 0x2a207e60, 0x4bb67aa2, 0x6e7ba43b, 0xe48b3451, 0xfe995c5a, 0x9d403f17,
];
/// State after the block `platformless-ai/v1/trace-settings`.
pub const TRACE_SETTINGS_TAG: Words32 = [
    0xd3ed087e, 0x736cc016, 0x1e1fd986, 0xad155798, 0xa1228afb, 0x19b0d7a9, 0x2f755209, 0x7ce46bce,
];
/// State after the block `platformless-ai/v1/weights-row`.
pub const WEIGHTS_ROW_TAG: Words32 = [
    0xaf9f6fa6, 0x7867cdca, 0x5f9c9a6f, 0x36a74b15, 0x3126db66, 0xbfb7a1e0, 0x15a0e859, 0x2e540cda,
];
/// State after the block `platformless-ai/v1/weights-node`.
pub const WEIGHTS_NODE_TAG: Words32 = [
    0x044f056b, 0xadc1012a, 0x278a6990, 0xe10b7b50, 0xb9fff8e1, 0x92168adc, 0x7871fc0f, 0xc0beade1,
];
/// State after the block `platformless-ai/v1/sample-model`.
pub const SAMPLE_MODEL_TAG: Words32 = [
    0xf1c79123, 0xc48e9d86, 0xccf46597, 0xf0fe0869, 0x247850ec, 0x0f7699e5, 0x8a76c142, 0xa269cb49,
];

pub const fn bit_length(bytes: u32) -> u32 {
    (bytes * 8).swap_bytes()
}

/// Hashes the first `bytes` bytes of `words` behind the tag `tag`. Behind them there must be
/// [`PADDING_WORDS`] words, which are overwritten.
#[inline(never)]
pub fn tagged<S: Sha>(sha: &mut S, tag: &Words32, words: &mut [u32], bytes: usize) -> Words32 {
    let end = bytes / 4;
    let total = (end + 3).div_ceil(BLOCK_WORDS) * BLOCK_WORDS;
    let kept = words[end] & ((1 << (bytes % 4 * 8)) - 1);
    words[end] = kept | END_MARKER << (bytes % 4 * 8);
    words[end + 1..total].fill(0);
    words[total - 1] = bit_length(TAG_BYTES + bytes as u32);
    let mut digest = [0; 8];
    let mut from = tag;
    let mut state;
    for part in words[..total].chunks(MOST_WORDS) {
        sha.start(&mut digest, from, part);
        state = digest;
        from = &state;
    }
    digest
}

/// Two digests beside each other and the padding behind them, hashed in one call.
const PADDING: [u32; 2 * BLOCK_WORDS] = {
    let mut blocks = [0; 2 * BLOCK_WORDS];
    blocks[BLOCK_WORDS] = END_MARKER;
    blocks[2 * BLOCK_WORDS - 1] = bit_length(TAG_BYTES + 64);
    blocks
};

/// A place on the way from a leaf to the root of its tree. Where a level has an odd number of
/// digests, the last goes up unchanged.
#[derive(Clone, Copy)]
pub struct Climb {
    /// Number of the digest in its level.
    pub at: u32,
    /// Digests of the level.
    of: u32,
    levels: u32,
}

impl Climb {
    pub fn new(leaf: u32, leaves: u32) -> Self {
        Self { at: leaf, of: leaves, levels: 0 }
    }

    fn has_beside(&self) -> bool {
        self.at & 1 == 1 || self.at + 1 < self.of
    }

    fn up(&mut self) {
        self.at >>= 1;
        self.of -= self.of >> 1;
        self.levels += 1;
    }

    /// Digests that are needed beside it, up to the root or to a level.
    pub fn digests(mut self, level: u32) -> usize {
        let mut count = 0;
        while self.of > 1 && self.levels < level {
            count += self.has_beside() as usize;
            self.up();
        }
        count
    }

    /// Goes up to the root or to a level, from `digest` to the digest there. `path` has exactly the
    /// digests that are needed beside it, the lowest first.
    #[inline(never)]
    pub fn to<S: Sha>(
        &mut self,
        sha: &mut S,
        tag: &Words32,
        digest: &mut Words32,
        path: &[u32],
        level: u32,
    ) -> Result<(), Fault> {
        let mut path = path.chunks_exact(8);
        let mut blocks = PADDING;
        while self.of > 1 && self.levels < level {
            if self.has_beside() {
                let beside = path.next().and_then(|beside| beside.first_chunk());
                let beside: &Words32 = beside.ok_or(Fault::Truncated)?;
                let (left, right) =
                    if self.at & 1 == 1 { (beside, &*digest) } else { (&*digest, beside) };
                // Word by word: a call that copies costs more than it copies.
                for i in 0..8 {
                    blocks[i] = left[i];
                    blocks[8 + i] = right[i];
                }
                sha.start(digest, tag, &blocks);
            }
            self.up();
        }
        Ok(())
    }
}

/// No level that a tree has.
pub const ROOT: u32 = 64;

/// Word by word: the standard library's comparison goes byte by byte here.
#[inline(always)]
pub fn same(a: &[u32], b: &[u32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
