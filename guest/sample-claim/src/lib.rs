//! The claim `sample`: cells of a trace that a block asked for, opened and recomputed.
//!
//! [`sample`] reads a witness ([`layout`]): it walks the transcript of the context to the state
//! after, derives the challenge from trace root, state and beacon, follows every opened row to the
//! trace root or the root of the weights, and recomputes each cell with the arithmetic of the crate
//! `arithmetic`. It is written over the traits of `session_claim`, so that the guest runs it on the
//! circuit and tests on a CPU. Nothing here allocates.

#![no_std]
#![forbid(unsafe_code)]

pub mod cell;
pub mod challenge;
pub mod facts;
mod fault;
pub mod layout;
pub mod leaves;
mod rows;
mod sample;
mod settings;
mod transcript;
pub mod tree;

pub use fault::Fault;
pub use sample::{sample, Memory};
