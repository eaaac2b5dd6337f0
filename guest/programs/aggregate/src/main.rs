//! Guest `aggregate`: proves that the checkpoints of a session are one account.
//!
//! Public output: one claim for all of them (`session_claim::layout::aggregate`). Private input, on
//! standard input: the image id of the guest `session` and the claims that it published. Each is
//! taken as proven by RISC Zero's composition, so a receipt of this guest is accepted only with the
//! receipts of its parts, or after they were resolved. The rules are in `session_claim::aggregate`;
//! this file only joins them to the machine.

#![no_std]
#![no_main]

mod output;
#[path = "../../runtime.rs"]
#[allow(dead_code)]
// `keep` and `commit` serve the guest `session`, and stay where they are for its id
mod runtime;

use output::{commit, Composition};
use runtime::{stop, Circuit, Static, Stdin};
use session_claim::{aggregate, layout::aggregate as layout};

#[link_section = ".work"]
static PART: Static<[u32; layout::PART_WORDS]> = Static::new([0; layout::PART_WORDS]);
#[link_section = ".journal"]
static JOURNAL: Static<[u32; layout::MAX_WORDS]> = Static::new([0; layout::MAX_WORDS]);

fn main() -> ! {
    // SAFETY: called once, on the only thread.
    let (part, journal) = unsafe { (PART.get(), JOURNAL.get()) };
    match aggregate(&mut Circuit, &mut Stdin, &mut Composition, part, journal) {
        Ok(joined) => commit(journal, &joined),
        Err(fault) => stop(fault.code()),
    }
}
