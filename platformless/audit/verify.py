"""Verification of a bundle in numbered steps (docs/proofs.md, "Verification").

It never answers yes or no: it returns a report of what was shown, or raises a rejection that
names the step, what was expected and what was got.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..protocol.assurance import ACCOUNTING_COVERAGE, Assurance, Component
from ..protocol.bundle import Bundle
from ..protocol.claim import SessionClaim
from ..protocol.digests import Address, ImageId, ProofHash
from ..protocol.errors import BundleFormatError, ClaimFormatError
from ..protocol.terms import SessionTerms
from .errors import (
    ForeignProofSystem,
    MalformedBundle,
    MalformedClaim,
    OverstatedAssurance,
    ReceiptKindMismatch,
    ReceiptKindNotAllowed,
    Step,
    UnknownClaimKind,
    UntrustedImage,
)
from .policy import CHECKED_IF_PRESENT, Acknowledgement, ClaimPolicy
from .release import trusted_images
from .sandbox import ReceiptKinds, Usage, Verifier, released_verifier

ZKVM = "risc0-zkvm 3.0.6"
CLAIM_KIND = "session"
_CLAIMS = {
    "session": ("a session claim", Assurance.ACCOUNTING),
    "aggregate": ("an aggregate claim", Assurance.ACCOUNTING),
    "sample": ("a sample claim", Assurance.SAMPLED),
}
"""What a kind of claim is called, and the level that it gives."""
_KINDS = {
    "composite": ReceiptKinds.COMPOSITE,
    "succinct": ReceiptKinds.SUCCINCT,
    "groth16": ReceiptKinds.GROTH16,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What is accepted. The defaults are the release's own trust and no expectation."""

    receipt_kinds: tuple[str, ...] = ("composite", "succinct", "groth16")
    images: Mapping[str, ImageId] = field(default_factory=trusted_images)
    """Guest that is trusted for each claim kind."""
    expectations: Sequence[ClaimPolicy] = ()
    acknowledgement: Acknowledgement = CHECKED_IF_PRESENT


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step that passed, and what it showed: no more than was asked of it."""

    step: Step
    shown: str


@dataclass(frozen=True, slots=True)
class AcceptedProof:
    """What an accepted bundle shows, whatever its claim says."""

    proof_hash: ProofHash
    assurance: Assurance
    coverage: tuple[Component, ...]
    image_id: ImageId
    receipt_kind: str
    zkvm: str
    bundle_bytes: int
    acknowledged_by: Address | None
    steps: tuple[StepReport, ...]
    fuel: int
    verifier_memory_bytes: int

    def with_claim(self, claim: dict[str, Any]) -> dict[str, Any]:
        """The report as JSON values; numbers that may pass 2^53 are strings."""
        return {
            "proof_hash": str(self.proof_hash),
            "claim": claim,
            "assurance": self.assurance.value,
            "coverage": {row.name: row.coverage.value for row in self.coverage},
            "image_id": str(self.image_id),
            "receipt_kind": self.receipt_kind,
            "zkvm": self.zkvm,
            "bundle_bytes": self.bundle_bytes,
            "acknowledged_by": str(self.acknowledged_by) if self.acknowledged_by else None,
            "steps": [
                {"step": passed.step.value, "title": passed.step.title, "shown": passed.shown}
                for passed in self.steps
            ],
        }


@dataclass(frozen=True, slots=True)
class VerificationReport(AcceptedProof):
    """What an accepted bundle of one checkpoint shows."""

    claim: SessionClaim

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return self.with_claim(claim_to_json(self.claim))


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """A bundle that passed steps 1 to 4: a trusted guest published its journal."""

    bundle: Bundle
    usage: Usage


def verify_bundle(
    data: bytes, policy: Policy | None = None, verifier: Verifier | None = None
) -> VerificationReport:
    """Accepts the bytes of a checkpoint's bundle and reports what they show.

    Raises:
        Rejection: for the first step that fails.
        VerifierError: when the check cannot run.
    """
    policy = policy or Policy()
    verifier = verifier or released_verifier()

    checked = check_proof(data, CLAIM_KIND, policy, verifier)
    bundle = checked.bundle

    # Step 5: the claim.
    try:
        claim = SessionClaim.decode(bundle.journal)
    except ClaimFormatError as error:
        raise MalformedClaim(error.message, expected=error.expected, got=error.got) from error

    # Step 6: the claim against what the auditor expects.
    for expectation in policy.expectations:
        expectation.verify(claim)

    # Step 7: the client's acknowledgement.
    acknowledged_by = policy.acknowledgement.verify(claim, bundle.acknowledgement_signature)

    return VerificationReport(
        proof_hash=ProofHash.of(data),
        assurance=Assurance.ACCOUNTING,
        coverage=ACCOUNTING_COVERAGE,
        image_id=bundle.image,
        receipt_kind=bundle.receipt_kind,
        zkvm=bundle.zkvm,
        bundle_bytes=len(data),
        acknowledged_by=acknowledged_by,
        steps=steps_of(
            bundle,
            policy,
            acknowledged_by,
            claim=f"{claim.tokens:,} tokens in checkpoint {claim.checkpoint}",
        ),
        fuel=checked.usage.fuel,
        verifier_memory_bytes=checked.usage.memory_bytes,
        claim=claim,
    )


def check_proof(data: bytes, claim_kind: str, policy: Policy, verifier: Verifier) -> CheckedProof:
    """Steps 1 to 4, the same for every kind of claim.

    Raises:
        Rejection: for the first step that fails.
        VerifierError: when the check cannot run.
    """
    # Step 1: the one encoding of a bundle, a claim kind we know, the assurance that it gives.
    try:
        bundle = Bundle.decode(data)
    except BundleFormatError as error:
        raise MalformedBundle(error.message, expected=error.expected, got=error.got) from error
    if bundle.claim_kind != claim_kind:
        raise UnknownClaimKind(
            "unknown kind of claim", expected=claim_kind, got=repr(bundle.claim_kind)
        )
    name, level = _CLAIMS[claim_kind]
    if bundle.assurance != level.value:
        raise OverstatedAssurance(
            f"{name} does not give this assurance",
            expected=level.value,
            got=repr(bundle.assurance),
        )

    # Step 2: receipt kind and proof system. The label only; the sandbox checks the receipt itself.
    if bundle.receipt_kind not in policy.receipt_kinds or bundle.receipt_kind not in _KINDS:
        raise ReceiptKindNotAllowed(
            "kind of receipt not allowed",
            expected=", ".join(policy.receipt_kinds),
            got=repr(bundle.receipt_kind),
        )
    kind = _KINDS[bundle.receipt_kind]
    if bundle.zkvm != ZKVM:
        raise ForeignProofSystem("another proof system", expected=ZKVM, got=repr(bundle.zkvm))
    parameters = verifier.parameters(kind)
    if bundle.verifier_parameters != parameters:
        raise ForeignProofSystem(
            "other verifier parameters",
            expected=parameters.hex(),
            got=bundle.verifier_parameters.hex(),
        )

    # Step 3: a guest that the policy trusts for this kind of claim.
    trusted = policy.images.get(bundle.claim_kind)
    if trusted != bundle.image:
        raise UntrustedImage(
            "guest program is not trusted", expected=trusted or "none", got=bundle.image
        )

    # Step 4: the proof itself, in the sandbox.
    try:
        usage = verifier.verify(bundle.receipt, bundle.journal, bundle.image, kind)
    except ReceiptKindNotAllowed as error:
        raise ReceiptKindMismatch(
            "the receipt is not of the kind that the bundle names",
            expected=bundle.receipt_kind,
            got=error.got,
        ) from error
    return CheckedProof(bundle, usage)


def steps_of(
    bundle: Bundle,
    policy: Policy,
    acknowledged_by: Address | None,
    *,
    claim: str,
    parts: str = "",
    expectation: str = "",
) -> tuple[StepReport, ...]:
    """The steps of an accepted bundle. `claim` sums up its claim; `parts` tells whom else it
    trusts, `expectation` what step 6 compared, where that is not the policy's expectations."""
    expected = len(policy.expectations)
    met = expectation or (f"met: {expected}" if expected else "nothing was expected")
    shown = {
        Step.PARSE: f"{bundle.claim_kind} claim, bundle format {bundle.format}",
        Step.RECEIPT_KIND: f"{bundle.receipt_kind}, {bundle.zkvm}",
        Step.IMAGE: f"trusted: {bundle.image}{parts}",
        Step.STARK: f"holds for this program and claim, {len(bundle.receipt):,} bytes",
        Step.CLAIM: claim,
        Step.EXPECTATION: met,
        Step.ACKNOWLEDGEMENT: f"signed by {acknowledged_by}"
        if acknowledged_by
        else "no signature, and none required",
    }
    return tuple(StepReport(step, shown[step]) for step in Step)


def claim_to_json(claim: SessionClaim) -> dict[str, Any]:
    """A claim as JSON values."""
    return {
        "header_digest": str(claim.header_digest),
        **terms_to_json(claim.terms),
        "checkpoint": claim.checkpoint,
        "tokens_before": claim.tokens_before,
        "tokens_after": claim.tokens_after,
        "tokens": claim.tokens,
        "state_before": str(claim.state_before),
        "state_after": str(claim.state_after),
        "delta_digest": str(claim.delta_digest),
        "trace_root": str(claim.trace_root),
    }


def terms_to_json(terms: SessionTerms) -> dict[str, Any]:
    """The session's terms as JSON values."""
    return {
        "chain_id": terms.chain_id,
        "marketplace": str(terms.marketplace),
        "session_id": str(terms.session_id),
        "host": str(terms.host),
        "client": str(terms.client),
        "model_id": str(terms.model_id),
        "weights_root": str(terms.weights_root),
        "price": str(terms.price),
    }
