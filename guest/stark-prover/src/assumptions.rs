//! Claims of other programs on which a guest may rest, each with its receipt.

use std::fs::File;
use std::io::Read;

use bincode::Options;
use risc0_zkvm::{sha::Digest, Assumption, AssumptionReceipt, InnerReceipt, VerifierContext};

use crate::message::{Fault, Job};

/// Most receipts for one run, as many as the guest `aggregate` joins.
pub const MAX_ASSUMPTIONS: usize = 500;
/// Longest file, and all of them together.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
pub const MAX_TOTAL_BYTES: u64 = 256 << 20;

/// The receipts that `job` names, verified, and the claims that it takes as proven without one.
///
/// A receipt that the guest does not ask for has no effect.
pub fn load(job: &Job) -> Result<Vec<AssumptionReceipt>, Fault> {
    let count = job.assumptions.len() + job.assumed.len();
    if count > MAX_ASSUMPTIONS {
        return Err(Fault::new("STP-019", "too many assumptions").because(MAX_ASSUMPTIONS, count));
    }
    let mut left = MAX_TOTAL_BYTES;
    let mut all = Vec::with_capacity(count);
    for path in &job.assumptions {
        let bytes = read(path, left.min(MAX_FILE_BYTES))?;
        left -= bytes.len() as u64;
        all.push(receipt(path, &bytes)?.into());
    }
    for digits in &job.assumed {
        all.push(AssumptionReceipt::Unresolved(Assumption {
            claim: digest(digits)?,
            control_root: Digest::ZERO,
        }));
    }
    Ok(all)
}

fn read(path: &str, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|e| Fault::new("STP-019", format!("cannot read assumption {path}: {e}")))?;
    if bytes.len() as u64 > limit {
        return Err(Fault::new("STP-019", format!("assumption {path} is too large"))
            .because(limit, format!("more than {limit}")));
    }
    Ok(bytes)
}

/// Decodes a receipt and verifies it. Of which program it is, is for the guest to say.
fn receipt(path: &str, bytes: &[u8]) -> Result<InnerReceipt, Fault> {
    let inner: InnerReceipt = bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(bytes.len() as u64)
        .reject_trailing_bytes()
        .deserialize(bytes)
        .map_err(|e| Fault::new("STP-019", format!("assumption {path} is no receipt: {e}")))?;
    if matches!(inner, InnerReceipt::Fake(_)) {
        return Err(Fault::new("STP-019", format!("assumption {path} has no proof"))
            .because("composite, succinct or groth16", "fake"));
    }
    inner
        .verify_integrity_with_context(&VerifierContext::default().with_dev_mode(false))
        .map_err(|e| Fault::new("STP-020", format!("assumption {path} does not verify: {e}")))?;
    Ok(inner)
}

fn digest(digits: &str) -> Result<Digest, Fault> {
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|e| Fault::new("STP-007", format!("an assumed claim is no digest: {e}")))?;
    Ok(Digest::from(bytes))
}
