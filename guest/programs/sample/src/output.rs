//! The witness in pieces, and a journal whose length is known at the end.

use risc0_zkvm_platform::{
    fileno,
    syscall::{sys_halt, sys_read_words, sys_write},
};
use sample_claim::layout::claim;
use session_claim::{layout, pad, receipt, Pieces, Sha};

use crate::runtime::{stop, Circuit, Stdin};

impl Pieces for Stdin {
    #[inline(always)]
    fn fill(&mut self, piece: &mut [u32]) -> bool {
        // SAFETY: the buffer is aligned and as long as is said.
        let bytes = unsafe { sys_read_words(fileno::STDIN, piece.as_mut_ptr(), piece.len()) };
        bytes == 4 * piece.len()
    }
}

/// Publishes the claim and ends the program successfully.
///
/// The exit digest is that of RISC Zero's `Output`: the SHA-256 of the journal, no assumptions.
pub fn commit(journal: &mut [u32; claim::MAX_WORDS], words: usize) -> ! {
    // SAFETY: the claim is the first `words` words of the journal.
    unsafe { sys_write(fileno::JOURNAL, journal.as_ptr().cast(), 4 * words) };
    let whole_blocks = (words + 3).div_ceil(layout::BLOCK_WORDS) * layout::BLOCK_WORDS;
    let Some(blocks) = journal.get_mut(..whole_blocks) else { stop("GST-000 unreachable") };
    pad(blocks, words);
    let mut digest = receipt::SHA256_INIT;
    for some in blocks.chunks(layout::CHUNK_WORDS) {
        Circuit.update(&mut digest, some);
    }
    sys_halt(0, &receipt::pair(&mut Circuit, &receipt::OUTPUT_TAG, &digest, &[0; 8]))
}
