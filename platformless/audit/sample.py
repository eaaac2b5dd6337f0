"""Verification of a proof of sampled cells, in the steps of `verify` (docs/proofs.md).

The guest draws the cells from what the host committed to and from the beacon that the claim names.
That the beacon was nobody's choice, the trace root the checkpoint's, the model the one that was
sold, and the context the whole of what the model saw, is for the auditor to compare, as far as it
knows; what it does not know is told as not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..protocol.assurance import SAMPLE_COVERAGE, Assurance, Component, Coverage
from ..protocol.digests import ProofHash
from ..protocol.errors import ClaimFormatError
from ..protocol.sample.claim import CLAIM_KIND, SampleClaim
from .errors import AcknowledgementMisplaced, AcknowledgementMissing, MalformedClaim
from .sample_expected import ExpectedSample, Unchecked
from .sandbox import Verifier, released_verifier
from .verify import AcceptedProof, Policy, check_proof, steps_of, terms_to_json

_CHECKED = {
    Unchecked.CHECKPOINT: "it is the one in the checkpoint's own claim",
    Unchecked.BEACON: "it is the hash of the block that was expected",
    Unchecked.FACTS: "their digest is the one that is trusted for the root of the weights",
    Unchecked.CONTEXT: "the context begins there in the transcript that was given",
}
"""Rows of `SAMPLE_COVERAGE` by their names, once they were compared."""


@dataclass(frozen=True, slots=True)
class SampleReport(AcceptedProof):
    """What an accepted proof of sampled cells shows."""

    claim: SampleClaim
    unchecked: tuple[Unchecked, ...]

    @property
    def shown(self) -> Assurance | None:
        """The level, if checkpoint, beacon and model were compared. Where the context begins only
        tells which tokens it is of."""
        return None if set(self.unchecked) - {Unchecked.CONTEXT} else self.assurance

    @property
    def least_draws(self) -> int:
        """k: of the kind of which fewest cells were drawn."""
        return min(one.draws for one in self.claim.cells)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; `assurance` is null when too little was compared for it."""
        return {
            **self.with_claim(sample_to_json(self.claim)),
            "assurance": self.shown.value if self.shown else None,
            "unchecked": [one.value for one in self.unchecked],
        }


def verify_sample(
    data: bytes,
    expected: ExpectedSample | None = None,
    policy: Policy | None = None,
    verifier: Verifier | None = None,
) -> SampleReport:
    """Accepts the bytes of a bundle of sampled cells and reports what they show.

    Args:
        expected: What the claim is compared with. `policy.expectations` are rules for claims of
            other kinds and are not looked at.

    Raises:
        Rejection: for the first step that fails.
        VerifierError: when the check cannot run.
    """
    expected = expected or ExpectedSample()
    policy = policy or Policy()
    checked = check_proof(data, CLAIM_KIND, policy, verifier or released_verifier())
    bundle = checked.bundle

    # Step 5: the claim.
    try:
        claim = SampleClaim.decode(bundle.journal)
    except ClaimFormatError as error:
        raise MalformedClaim(error.message, expected=error.expected, got=error.got) from error

    # Step 6: the claim against what the auditor knows.
    expected.verify(claim)

    # Step 7: clients acknowledge tokens, not cells.
    if bundle.acknowledgement is not None:
        raise AcknowledgementMisplaced(
            "a proof of sampled cells with an acknowledgement", expected="none", got="a signature"
        )
    if policy.acknowledgement.required:
        raise AcknowledgementMissing(
            "no client acknowledges a proof of sampled cells", expected=claim.terms.client
        )

    unchecked = expected.unknown
    compared = [what.value for what in Unchecked if what not in unchecked]
    met = f"every kind, every position; {', '.join(compared) or 'nothing else was known'}"
    return SampleReport(
        proof_hash=ProofHash.of(data),
        assurance=Assurance.SAMPLED,
        coverage=sample_coverage(unchecked),
        image_id=bundle.image,
        receipt_kind=bundle.receipt_kind,
        zkvm=bundle.zkvm,
        bundle_bytes=len(data),
        acknowledged_by=None,
        steps=steps_of(
            bundle,
            policy,
            None,
            claim=f"{claim.plan.cells:,} cells of {len(claim.cells)} kinds",
            expectation=met,
        ),
        fuel=checked.usage.fuel,
        verifier_memory_bytes=checked.usage.memory_bytes,
        claim=claim,
        unchecked=unchecked,
    )


def sample_coverage(unchecked: Sequence[Unchecked]) -> tuple[Component, ...]:
    """The rows of a sample claim, with what was compared besides."""
    compared = {what.value: text for what, text in _CHECKED.items() if what not in unchecked}
    return tuple(
        replace(row, coverage=Coverage.CHECKED, meaning=compared[row.name])
        if row.name in compared
        else row
        for row in SAMPLE_COVERAGE
    )


def sample_to_json(claim: SampleClaim) -> dict[str, Any]:
    """A sample claim as JSON values."""
    return {
        "header_digest": str(claim.header_digest),
        **terms_to_json(claim.terms),
        "tokens_before_context": claim.tokens_before,
        "tokens_after": claim.tokens_after,
        "first_entry": claim.first_entry,
        "state_after": str(claim.state_after),
        "trace_root": str(claim.trace_root),
        "trace_settings": str(claim.settings),
        "arithmetic": claim.reference.value,
        "model_facts": str(claim.model),
        "beacon_block": claim.beacon_number,
        "beacon": str(claim.beacon),
        "positions": claim.layout.positions,
        "covered_positions": [claim.covered.first, claim.covered.count],
        "cells": [
            {
                "kind": one.kind.name,
                "draws": one.draws,
                "population": str(one.population),
                "tolerance": one.tolerance,
            }
            for one in claim.cells
        ],
        "missing_kinds": [kind.name for kind in claim.missing],
    }
