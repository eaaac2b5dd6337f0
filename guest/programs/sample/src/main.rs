//! Guest `sample`: proves sampled cells of a trace.
//!
//! Public output: a claim (`sample_claim::layout::claim`). Private input, on standard input: the
//! witness (`sample_claim::layout`). The rules are in `sample_claim::sample`; this file only joins
//! them to the machine.

#![no_std]
#![no_main]

mod output;
#[path = "../../runtime.rs"]
#[allow(dead_code)]
// `keep` and `commit` serve the guest `session`, and stay where they are for its id
mod runtime;

use output::commit;
use runtime::{stop, Circuit, Static, Stdin};
use sample_claim::{layout::claim, sample, Memory};

#[link_section = ".memory"]
static MEMORY: Static<Memory> = Static::new(Memory::NEW);
#[link_section = ".journal"]
static JOURNAL: Static<[u32; claim::MAX_WORDS]> = Static::new([0; claim::MAX_WORDS]);

fn main() -> ! {
    // SAFETY: called once, on the only thread.
    let (memory, journal) = unsafe { (MEMORY.get(), JOURNAL.get()) };
    match sample(&mut Circuit, &mut Stdin, memory, journal) {
        Ok(words) => commit(journal, words),
        Err(fault) => stop(fault.code()),
    }
}
