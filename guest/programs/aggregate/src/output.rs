//! Composition, and a journal whose length is known at the end.

use core::ptr::null_mut;

use risc0_zkvm_platform::{
    fileno,
    syscall::{nr, sys_halt, sys_read_words, sys_write, syscall_2_nr, Syscall},
};
use session_claim::{layout, pad, receipt, Aggregated, Assume, Pieces, Sha, Words32};

use crate::runtime::{stop, Circuit, Stdin};

impl Pieces for Stdin {
    #[inline(always)]
    fn fill(&mut self, piece: &mut [u32]) -> bool {
        // SAFETY: the buffer is aligned and as long as is said.
        let bytes = unsafe { sys_read_words(fileno::STDIN, piece.as_mut_ptr(), piece.len()) };
        bytes == 4 * piece.len()
    }
}

/// RISC Zero's composition (`risc0_zkvm::guest::env::verify`).
///
/// The call only asks the host for a receipt, so that a run without one ends here. What binds the
/// proof is the list of assumptions in the program's output.
pub struct Composition;

impl Assume for Composition {
    #[inline(always)]
    fn assume(&mut self, claim: &Words32) {
        // Claim and control root; zeros for the one under which this program itself is verified.
        let mut request = [0u32; 16];
        request[..8].copy_from_slice(claim);
        // SAFETY: both digests are readable memory.
        unsafe {
            syscall_2_nr(
                Syscall::VerifyIntegrity.into(),
                nr::SYS_VERIFY_INTEGRITY,
                null_mut(),
                0,
                request.as_ptr() as u32,
                64,
            );
        }
    }
}

/// Publishes the claim and ends the program successfully.
///
/// The exit digest is that of RISC Zero's `Output`: the SHA-256 of the journal and the assumptions.
pub fn commit(journal: &mut [u32; layout::aggregate::MAX_WORDS], joined: &Aggregated) -> ! {
    let words = joined.words;
    // SAFETY: the claim is the first `words` words of the journal.
    unsafe { sys_write(fileno::JOURNAL, journal.as_ptr().cast(), 4 * words) };
    let whole_blocks = words + layout::BLOCK_WORDS / 2;
    let Some(blocks) = journal.get_mut(..whole_blocks) else { stop("GST-000 unreachable") };
    pad(blocks, words);
    let mut digest = receipt::SHA256_INIT;
    for some in blocks.chunks(layout::CHUNK_WORDS) {
        Circuit.update(&mut digest, some);
    }
    sys_halt(0, &receipt::pair(&mut Circuit, &receipt::OUTPUT_TAG, &digest, &joined.assumptions))
}
