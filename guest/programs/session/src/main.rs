//! Guest `session`: proves the accounting claim of one checkpoint.
//!
//! Public output: the 544 bytes of the claim (`session_claim::layout::claim`). Private input, on
//! standard input: the witness (`session_claim::layout::prologue`, `entry`). The rules are in
//! `session_claim::account`; this file only joins them to the machine.

#![no_std]
#![no_main]

#[path = "../../runtime.rs"]
mod runtime;

use runtime::{commit, keep, stop, Circuit, Static, Stdin};
use session_claim::{account, layout};

#[link_section = ".chunk"]
static CHUNK: Static<[u32; layout::CHUNK_WORDS]> = Static::new([0; layout::CHUNK_WORDS]);
#[link_section = ".work"]
static SALT: Static<[u32; 8]> = Static::new([0; 8]);
#[link_section = ".work"]
static JOURNAL: Static<[u32; runtime::JOURNAL_WORDS]> = Static::new([0; runtime::JOURNAL_WORDS]);

fn main() -> ! {
    // SAFETY: called once, on the only thread.
    let (chunk, salt, journal) = unsafe { (CHUNK.get(), SALT.get(), JOURNAL.get()) };
    let Some(claim) = journal.first_chunk_mut() else { stop("GST-000 unreachable") };
    match account(&mut Circuit, &mut Stdin, chunk, salt, claim) {
        Ok(()) => {
            keep(salt);
            commit(journal)
        }
        Err(fault) => stop(fault.code()),
    }
}
