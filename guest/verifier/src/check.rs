//! The check itself: from bytes to accepted or a reason.

use std::fmt;

use bincode::Options;
use risc0_zkvm::{
    sha::{Digest, Digestible},
    CompositeReceipt, CompositeReceiptVerifierParameters, ExitCode,
    Groth16ReceiptVerifierParameters, InnerAssumptionReceipt, InnerReceipt,
    SegmentReceiptVerifierParameters, SuccinctReceiptVerifierParameters, VerifierContext,
};

/// Receipts that carry a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Composite = 1,
    Succinct = 2,
    Groth16 = 4,
}

impl Kind {
    pub fn from_mask(mask: u32) -> Option<Self> {
        match mask {
            1 => Some(Kind::Composite),
            2 => Some(Kind::Succinct),
            4 => Some(Kind::Groth16),
            _ => None,
        }
    }
}

/// Why a receipt is not accepted.
#[derive(Debug)]
pub enum Rejection {
    /// The bytes are not the encoding of a receipt.
    Malformed(String),
    /// A receipt of a kind that the caller does not allow, or without a proof.
    Kind(&'static str),
    /// Made for other verifier parameters: another version of the proof system.
    Parameters { expected: Digest, got: Digest },
    /// The proof does not hold.
    Seal(String),
    /// A proof of another program.
    Image { expected: Digest, got: Digest },
    /// The program did not end with success.
    Exit(ExitCode),
    /// The program published something else.
    Journal { expected: Digest, got: Digest },
}

impl Rejection {
    pub fn code(&self) -> u32 {
        match self {
            Rejection::Malformed(_) => 1,
            Rejection::Kind(_) => 2,
            Rejection::Parameters { .. } => 3,
            Rejection::Seal(_) => 4,
            Rejection::Image { .. } => 5,
            Rejection::Exit(_) => 6,
            Rejection::Journal { .. } => 7,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::Malformed(why) => write!(f, "{why}"),
            Rejection::Kind(got) => write!(f, "{got}"),
            Rejection::Seal(why) => write!(f, "{why}"),
            Rejection::Exit(got) => write!(f, "{got:?}"),
            Rejection::Parameters { expected, got }
            | Rejection::Image { expected, got }
            | Rejection::Journal { expected, got } => write!(f, "{expected} {got}"),
        }
    }
}

/// Digest of the parameters with which receipts of `kind` are verified.
pub fn parameters(kind: Kind) -> [u8; 32] {
    match kind {
        Kind::Composite => CompositeReceiptVerifierParameters::default().digest(),
        Kind::Succinct => SuccinctReceiptVerifierParameters::default().digest(),
        Kind::Groth16 => Groth16ReceiptVerifierParameters::default().digest(),
    }
    .into()
}

/// Verifies `receipt` (bincode of `InnerReceipt`) for the program `image_id` and its output
/// `journal`. `allowed` is a mask of [`Kind`]s.
///
/// # Errors
/// The first [`Rejection`], in the order in which the enum lists them.
pub fn check(
    receipt: &[u8],
    journal: &[u8],
    image_id: [u8; 32],
    allowed: u32,
) -> Result<(), Rejection> {
    let encoding = bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(receipt.len() as u64)
        .reject_trailing_bytes();
    let inner: InnerReceipt =
        encoding.deserialize(receipt).map_err(|e| Rejection::Malformed(e.to_string()))?;
    let again = encoding.serialize(&inner).map_err(|e| Rejection::Malformed(e.to_string()))?;
    if again != receipt {
        return Err(Rejection::Malformed("not in canonical form".into()));
    }

    let kind = allow(&inner, allowed)?;
    let expected = Digest::from(parameters(kind));
    let got = inner.verifier_parameters();
    if got != expected {
        return Err(Rejection::Parameters { expected, got });
    }

    if let InnerReceipt::Composite(composite) = &inner {
        check_labels(composite)?;
    }

    let context = VerifierContext::default().with_dev_mode(false);
    inner.verify_integrity_with_context(&context).map_err(|e| Rejection::Seal(e.to_string()))?;

    let unreadable = |_| Rejection::Malformed("the claim of the receipt is pruned".into());
    let claim = inner.claim().map_err(|e| Rejection::Seal(e.to_string()))?;
    let claim = claim.as_value().map_err(unreadable)?;
    let expected = Digest::from(image_id);
    let got = claim.pre.digest();
    if got != expected {
        return Err(Rejection::Image { expected, got });
    }
    if claim.exit_code != ExitCode::Halted(0) {
        return Err(Rejection::Exit(claim.exit_code));
    }
    let output = claim.output.as_value().map_err(unreadable)?;
    let expected = Digest::from(digest_of(journal));
    let got = output.as_ref().map_or(Digest::ZERO, |output| output.journal.digest());
    if got != expected {
        return Err(Rejection::Journal { expected, got });
    }
    // Everything that the caller does not see must be what a plain successful run has.
    let plain = risc0_zkvm::ReceiptClaim::ok(Digest::from(image_id), journal.to_vec());
    if plain.digest() != claim.digest() {
        return Err(Rejection::Seal("the claim has an input or an open assumption".into()));
    }
    Ok(())
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    use risc0_zkvm::sha::{Impl, Sha256};
    (*Impl::hash_bytes(bytes)).into()
}

/// The kind of `receipt`, if it and every receipt inside it are allowed.
fn allow(receipt: &InnerReceipt, allowed: u32) -> Result<Kind, Rejection> {
    match receipt {
        InnerReceipt::Composite(composite) => {
            allow_assumptions(composite, allowed)?;
            permit(Kind::Composite, "composite", allowed)
        }
        InnerReceipt::Succinct(_) => permit(Kind::Succinct, "succinct", allowed),
        InnerReceipt::Groth16(_) => permit(Kind::Groth16, "groth16", allowed),
        InnerReceipt::Fake(_) => Err(Rejection::Kind("fake")),
        _ => Err(Rejection::Kind("unknown")),
    }
}

/// The receipts on which a composite one rests.
fn allow_assumptions(composite: &CompositeReceipt, allowed: u32) -> Result<(), Rejection> {
    for assumption in &composite.assumption_receipts {
        match assumption {
            InnerAssumptionReceipt::Composite(nested) => {
                allow_assumptions(nested, allowed)?;
                permit(Kind::Composite, "composite assumption", allowed)?
            }
            InnerAssumptionReceipt::Succinct(_) => {
                permit(Kind::Succinct, "succinct assumption", allowed)?
            }
            InnerAssumptionReceipt::Groth16(_) => {
                permit(Kind::Groth16, "groth16 assumption", allowed)?
            }
            InnerAssumptionReceipt::Fake(_) => return Err(Rejection::Kind("fake assumption")),
            _ => return Err(Rejection::Kind("unknown assumption")),
        };
    }
    Ok(())
}

/// Fields of a composite receipt that RISC Zero carries but does not look at: they must be right all
/// the same, so that a receipt has one spelling.
fn check_labels(composite: &CompositeReceipt) -> Result<(), Rejection> {
    let expected = SegmentReceiptVerifierParameters::default().digest();
    for (position, segment) in composite.segments.iter().enumerate() {
        if segment.index as usize != position {
            return Err(Rejection::Malformed(format!(
                "segment {position} is numbered {}",
                segment.index
            )));
        }
        if segment.verifier_parameters != expected {
            return Err(Rejection::Parameters { expected, got: segment.verifier_parameters });
        }
    }
    for assumption in &composite.assumption_receipts {
        let (kind, got) = match assumption {
            InnerAssumptionReceipt::Composite(nested) => {
                check_labels(nested)?;
                (Kind::Composite, nested.verifier_parameters)
            }
            InnerAssumptionReceipt::Succinct(nested) => {
                (Kind::Succinct, nested.verifier_parameters)
            }
            InnerAssumptionReceipt::Groth16(nested) => (Kind::Groth16, nested.verifier_parameters),
            _ => continue,
        };
        let expected = Digest::from(parameters(kind));
        if got != expected {
            return Err(Rejection::Parameters { expected, got });
        }
    }
    Ok(())
}

fn permit(kind: Kind, name: &'static str, allowed: u32) -> Result<Kind, Rejection> {
    if allowed & kind as u32 == 0 {
        return Err(Rejection::Kind(name));
    }
    Ok(kind)
}
