//! The child that computes: one request after the other, from the front alone.

use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;

use crate::message::{parse, read_line, say_fault, say_result, Fault, Line, Op};
use crate::proof;

/// Serves until the front, the process `parent`, closes the pipe.
pub fn run(parent: &str) -> ExitCode {
    die_with(parent);
    let mut input = io::stdin().lock();
    while let Line::Text(text) = read_line(&mut input) {
        let Ok(request) = parse(&text) else { continue };
        let outcome = catch_unwind(AssertUnwindSafe(|| match &request.op {
            Op::Execute(job) => proof::execute(job),
            Op::Prove(job) => proof::prove(&request.id, job),
            _ => Err(Fault::new("STP-006", "not an operation of the worker")),
        }));
        match outcome {
            Ok(Ok(result)) => say_result(&request.id, result),
            Ok(Err(fault)) => say_fault(Some(&request.id), &fault),
            Err(panic) => {
                let why = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                say_fault(
                    Some(&request.id),
                    &Fault::new("STP-013", format!("the prover panicked: {why}")),
                );
            }
        }
    }
    ExitCode::SUCCESS
}

/// The kernel kills this process when its parent is gone: no orphan, however the parent died.
fn die_with(parent: &str) {
    // SAFETY: plain system calls.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Gone already, before the line above?
        if libc::getppid().to_string() != parent {
            libc::_exit(1);
        }
    }
}
