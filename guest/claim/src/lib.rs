//! The claims `session` and `aggregate`, once for the guests, the prover and their tests.
//!
//! [`account`] reads a witness ([`layout`]) block by block, recomputes every digest of the
//! transcript it describes and fills in the public words of the claim. It is written over two
//! small traits so that the guest runs it on the SHA-256 circuit and tests run it on a CPU:
//!
//! * [`Sha`] compresses 64-byte blocks,
//! * [`Witness`] hands out the witness in pieces.
//!
//! [`aggregate`] joins the claims of a session's checkpoints into one, over a third trait:
//!
//! * [`Assume`] takes a claim of another program as proven.
//!
//! Nothing here allocates. All data is 32-bit words as they lie in little-endian memory, so a
//! byte string is hashed without being copied or swapped.

#![no_std]
#![forbid(unsafe_code)]

mod account;
mod aggregate;
mod fault;
mod hash;
pub mod layout;
pub mod receipt;

pub use account::account;
pub use aggregate::{aggregate, pad, Aggregated, Assume, JoinFault};
pub use fault::Fault;
pub use hash::{Sha, Words32, ENTRY_TAG, HEADER_TAG, INITIAL_STATE_TAG, STATE_TAG};
pub use layout::{Pieces, Witness};
