"""What is proven of each checkpoint: by its own claim, or by the proof of the whole session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import PlatformlessError
from ...protocol.transcript import Tokens
from ..errors import UnexpectedClaim
from ..evidence import CheckpointEvidence, Trust, require_delta_digest
from ..places import CheckpointOnChain
from ..policy import ClaimPolicy, ExpectedTokens
from .transcript_check import ProvenCheckpoint

if TYPE_CHECKING:
    from ..whole_session import AggregateReport


def check_whole_session(
    data: bytes,
    expectations: tuple[ClaimPolicy, ...],
    trust: Trust,
    places: Sequence[CheckpointOnChain],
) -> AggregateReport:
    """Accepts the proof of a whole session that has exactly the chain's checkpoints.

    Raises:
        Rejection: for the first thing that is wrong.
    """
    from ..whole_session import verify_aggregate

    total = places[-1].tokens_after if places else 0
    everything = ExpectedTokens(Tokens(0), Tokens(total))
    report = verify_aggregate(data, trust.policy((*expectations, everything)))
    claim = report.claim
    if (claim.first_checkpoint, len(claim.parts)) != (0, len(places)):
        raise UnexpectedClaim(
            "another range of checkpoints",
            expected=f"{len(places)} from 0",
            got=f"{len(claim.parts)} from {claim.first_checkpoint}",
        )
    for place, part in zip(places, claim.parts, strict=True):
        if part.tokens_after != place.tokens_after:
            raise UnexpectedClaim(
                f"checkpoint {place.number} ends at another token",
                expected=place.tokens_after,
                got=part.tokens_after,
            )
    return report


def proven_by_parts(evidence: Sequence[CheckpointEvidence]) -> list[ProvenCheckpoint]:
    """By each checkpoint's own accepted claim."""
    return [
        ProvenCheckpoint(
            item.place.number,
            item.proof.claim.header_digest,
            item.proof.claim.terms,
            item.proof.claim.tokens_after,
            item.proof.claim.state_after,
            item.proof.claim.delta_digest,
            item.proof.claim.trace_root,
        )
        for item in evidence
        if item.proof is not None
    ]


def proven_by_whole(
    report: AggregateReport, evidence: Sequence[CheckpointEvidence]
) -> tuple[list[ProvenCheckpoint], list[PlatformlessError]]:
    """By the rows of the whole session's claim; and the deltas that are not those of a row."""
    claim = report.claim
    proven = [
        ProvenCheckpoint(
            number,
            claim.header_digest,
            claim.terms,
            part.tokens_after,
            part.state_after,
            part.delta_digest,
            part.trace_root,
        )
        for number, part in enumerate(claim.parts)
    ]
    problems = list[PlatformlessError]()
    for item, one in zip(evidence, proven, strict=True):
        if item.delta is not None:
            try:
                require_delta_digest(one.number, one.delta_digest, item.delta)
            except PlatformlessError as error:
                problems.append(error)
    return proven, problems
