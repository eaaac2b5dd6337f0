"""What follows from all that was gathered: totals, assurance, coverage, policy, report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...chain.networks import Network
from ...protocol.assurance import Assurance
from ...protocol.transcript import Tokens
from ..evidence import CheckpointEvidence
from ..replay.modes import ReplayMode
from .coverage import coverage_of
from .facts import SessionFacts
from .findings import Finding, worst_first
from .payments import payment_of
from .report import AuditReport, CheckpointAudit, TokenTotals
from .sample_states import CheckpointSample, SampleState
from .session_policy import AuditPolicy, Shown
from .transcript_check import ProvenCheckpoint, TranscriptCheck

if TYPE_CHECKING:
    from ..replay.report import ReplayReport
    from ..whole_session import AggregateReport


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the steps of an audit have found."""

    network: Network
    facts: SessionFacts
    evidence: Sequence[CheckpointEvidence]
    whole: AggregateReport | None
    proven: Sequence[ProvenCheckpoint]
    samples: Mapping[int, CheckpointSample]
    """Of the proven checkpoints, by number."""
    transcript: TranscriptCheck | None
    replay: ReplayReport | None
    index_checked: bool
    findings: Sequence[Finding]


def conclude(gathered: Gathered, policy: AuditPolicy, seconds: float) -> AuditReport:
    """The report, with what the policy has against the session.

    Args:
        seconds: What the audit took.
    """
    facts = gathered.facts
    numbers = {one.number for one in gathered.proven}
    checkpoints = tuple(
        CheckpointAudit(
            item,
            item.place.number in numbers,
            item.place.record.submitted_at if item.place.record else None,
            gathered.samples.get(item.place.number),
        )
        for item in gathered.evidence
    )
    tokens = _totals(gathered, checkpoints)
    assurance = _assurance(gathered, tokens)
    replay = gathered.replay
    shown = Shown(
        claimed=tokens.claimed,
        proven=tokens.proven,
        acknowledged=tokens.acknowledged,
        assurance=assurance,
        deltas=tuple(one.delta_state for one in checkpoints),
        index_checked=gathered.index_checked,
        settled=facts.over,
        replayed_exactly=assurance is Assurance.REPLAYED
        and replay is not None
        and replay.mode is ReplayMode.EXACT,
        sampled=tokens.claimed > 0 and tokens.sampled + tokens.spared >= tokens.claimed,
        sampled_tokens=tokens.sampled,
        spared_tokens=tokens.spared,
        sample_draws=_least_draws(gathered.samples),
    )
    broken = [Finding.of(one) for one in policy.broken_by(shown)]
    return AuditReport(
        chain_id=gathered.network.chain_id,
        marketplace=gathered.network.marketplace,
        session=facts.session,
        model_id=facts.model_id,
        read_at=facts.head,
        checkpoints=checkpoints,
        whole_session=gathered.whole,
        payment=payment_of(facts),
        transcript=gathered.transcript,
        replay=gathered.replay,
        tokens=tokens,
        assurance=shown.assurance,
        coverage=coverage_of(
            shown, gathered.transcript, gathered.replay, one_in=policy.sample_one_in
        ),
        findings=worst_first([*gathered.findings, *broken]),
        policy=policy,
        images=dict(policy.images),
        made_at=int(time.time()),
        seconds=seconds,
    )


def _totals(gathered: Gathered, checkpoints: Sequence[CheckpointAudit]) -> TokenTotals:
    proofs = [item.proof for item in gathered.evidence if item.proof is not None]
    signed = [one.claim.tokens_after for one in proofs if one.acknowledged_by is not None]
    whole = gathered.whole
    if whole is not None and whole.acknowledged_by is not None:
        signed.append(whole.claim.tokens_after)
    proven = sum(one.place.tokens for one in checkpoints if one.proven)
    samples = [one.sample for one in checkpoints if one.proven and one.sample is not None]
    return TokenTotals(
        gathered.facts.claimed,
        Tokens(proven),
        max(signed, default=Tokens(0)),
        Tokens(sum(one.covered for one in samples)),
        Tokens(sum(one.spared for one in samples)),
    )


def _least_draws(samples: Mapping[int, CheckpointSample]) -> int:
    """k of the accepted proof that has fewest; 0 where there is none."""
    accepted = (one.report for one in samples.values() if one.state is SampleState.ACCEPTED)
    return min((one.least_draws for one in accepted if one is not None), default=0)


def _assurance(gathered: Gathered, tokens: TokenTotals) -> Assurance | None:
    if not tokens.proven:
        return None
    replayed = (
        gathered.replay is not None
        and gathered.replay.replayed
        and gathered.transcript is not None
        and gathered.transcript.matched >= tokens.claimed
    )
    if replayed:
        return Assurance.REPLAYED
    sampled = tokens.sampled + tokens.spared >= tokens.claimed
    return Assurance.SAMPLED if sampled else Assurance.ACCOUNTING
