//! `stark-prover`: a long-lived process that builds STARK proofs of our guests.
//!
//! It speaks JSON lines: requests on standard input, events, results and errors on standard
//! output, logs on standard error (`docs/stark-prover.md`). Two processes share the work:
//!
//! * [`front`] reads requests, answers `info`, `cancel` and `shutdown`, and never computes,
//! * [`worker`], its child, executes and proves; it is killed to cancel, and replaced when it
//!   dies, so no request can take the front down.

mod assumptions;
mod front;
mod images;
mod message;
mod proof;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os("RISC0_DEV_MODE").is_some() {
        eprintln!("STP-001 RISC0_DEV_MODE is set: this program makes only real proofs; unset it");
        return ExitCode::from(2);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => front::run(),
        ["--worker", parent] => worker::run(parent),
        _ => {
            eprintln!("STP-002 usage: stark-prover (no arguments; requests on standard input)");
            ExitCode::from(2)
        }
    }
}
