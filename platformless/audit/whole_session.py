"""Verification of one proof of a whole session, in the steps of `verify` (docs/proofs.md).

A bundle of the guest `aggregate` carries the proofs of its parts, or is made of them: its claim
holds only if each part was proven by the guest `session` that the claim names. So step 3 asks for
trust in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..protocol.aggregate import AGGREGATE_COVERAGE, CLAIM_KIND, AggregateClaim
from ..protocol.assurance import Assurance
from ..protocol.bundle import Bundle
from ..protocol.digests import ProofHash
from ..protocol.errors import BundleFormatError, ClaimFormatError
from .errors import MalformedClaim, UntrustedImage
from .sandbox import Verifier, released_verifier
from .verify import CLAIM_KIND as PART_KIND
from .verify import (
    AcceptedProof,
    Policy,
    VerificationReport,
    check_proof,
    steps_of,
    terms_to_json,
    verify_bundle,
)


@dataclass(frozen=True, slots=True)
class AggregateReport(AcceptedProof):
    """What an accepted bundle of a whole session shows."""

    claim: AggregateClaim

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return self.with_claim(aggregate_to_json(self.claim))


def verify_aggregate(
    data: bytes, policy: Policy | None = None, verifier: Verifier | None = None
) -> AggregateReport:
    """Accepts the bytes of a whole session's bundle and reports what they show.

    Raises:
        Rejection: for the first step that fails.
        VerifierError: when the check cannot run.
    """
    policy = policy or Policy()
    checked = check_proof(data, CLAIM_KIND, policy, verifier or released_verifier())
    bundle = checked.bundle

    # Step 5: the claim.
    try:
        claim = AggregateClaim.decode(bundle.journal)
    except ClaimFormatError as error:
        raise MalformedClaim(error.message, expected=error.expected, got=error.got) from error

    # Step 3 again, for the guest that the claim names: a session guest that the policy trusts.
    trusted = policy.images.get(PART_KIND)
    if trusted != claim.part_image:
        raise UntrustedImage(
            "the parts are proofs of a guest program that is not trusted",
            expected=trusted or "none",
            got=claim.part_image,
        )

    # Step 6: the claim against what the auditor expects.
    for expectation in policy.expectations:
        expectation.verify(claim)

    # Step 7: the client's acknowledgement, of where the last checkpoint ends.
    acknowledged_by = policy.acknowledgement.verify(claim, bundle.acknowledgement_signature)

    return AggregateReport(
        proof_hash=ProofHash.of(data),
        assurance=Assurance.ACCOUNTING,
        coverage=AGGREGATE_COVERAGE,
        image_id=bundle.image,
        receipt_kind=bundle.receipt_kind,
        zkvm=bundle.zkvm,
        bundle_bytes=len(data),
        acknowledged_by=acknowledged_by,
        steps=steps_of(
            bundle,
            policy,
            acknowledged_by,
            claim=f"{claim.tokens:,} tokens in checkpoints {claim.first_checkpoint} to "
            f"{claim.last_checkpoint}",
            parts=f", and for the parts {claim.part_image}",
        ),
        fuel=checked.usage.fuel,
        verifier_memory_bytes=checked.usage.memory_bytes,
        claim=claim,
    )


def verify_any(
    data: bytes, policy: Policy | None = None, verifier: Verifier | None = None
) -> VerificationReport | AggregateReport:
    """`verify_aggregate` for the bundle of a whole session, `verify_bundle` for anything else."""
    try:
        whole = Bundle.decode(data).claim_kind == CLAIM_KIND
    except BundleFormatError:
        whole = False
    return (verify_aggregate if whole else verify_bundle)(data, policy, verifier)


def aggregate_to_json(claim: AggregateClaim) -> dict[str, Any]:
    """A whole session's claim as JSON values."""
    return {
        "header_digest": str(claim.header_digest),
        **terms_to_json(claim.terms),
        "part_image_id": str(claim.part_image),
        "first_checkpoint": claim.first_checkpoint,
        "checkpoints": len(claim.parts),
        "tokens_before": claim.tokens_before,
        "tokens_after": claim.tokens_after,
        "tokens": claim.tokens,
        "state_before": str(claim.state_before),
        "state_after": str(claim.state_after),
        "parts": [
            {
                "tokens_after": part.tokens_after,
                "state_after": str(part.state_after),
                "delta_digest": str(part.delta_digest),
                "trace_root": str(part.trace_root),
            }
            for part in claim.parts
        ],
    }
