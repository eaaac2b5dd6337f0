"""What an auditor expects of a proof of sampled cells: step 6 of its verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..protocol.digests import HeaderDigest, StateDigest, TraceRoot, WeightsRoot
from ..protocol.sample.claim import SampleClaim
from ..protocol.sample.context import Context
from ..protocol.sample.facts import ModelFactsDigest
from ..protocol.sample.plan import COVERED_KINDS
from ..protocol.terms import SessionTerms
from ..protocol.trace.cells import Span
from ..protocol.trace.challenge import Beacon
from ..protocol.transcript import Tokens
from .errors import (
    BeaconForeign,
    ContextForeign,
    KindsLeftOut,
    ModelFactsForeign,
    PositionsLeftOut,
    SampleOfNoTrace,
    SampleOfOtherCheckpoint,
    SampleOfOtherSession,
    SampleOfOtherTrace,
    TooFewDraws,
    UnexpectedSample,
)
from .policy import TermsPolicy


class TracedCheckpoint(Protocol):
    """What a checkpoint's own claim, or its row in a whole session's, says of its trace."""

    @property
    def header_digest(self) -> HeaderDigest: ...
    @property
    def terms(self) -> SessionTerms: ...
    @property
    def tokens_after(self) -> Tokens: ...
    @property
    def state_after(self) -> StateDigest: ...
    @property
    def trace_root(self) -> TraceRoot: ...


@dataclass(frozen=True, slots=True)
class BlockHash:
    """The block that draws the cells."""

    number: int
    hash: Beacon


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model whose facts an auditor knows. Models of one shape may have the same facts: the root
    of the weights tells them apart."""

    weights_root: WeightsRoot
    facts: ModelFactsDigest


@dataclass(frozen=True, slots=True)
class ContextPlace:
    """Where the last context of a transcript begins, and how long it is."""

    first_entry: int
    tokens_before: Tokens
    """Completion tokens of the transcript before it."""
    positions: int

    @classmethod
    def of(cls, context: Context) -> ContextPlace:
        return cls(context.before.entries, context.before.tokens, len(context.tokens))


class Unchecked(StrEnum):
    """What a verification had nothing to compare with."""

    CHECKPOINT = "trace root in the checkpoint"
    BEACON = "beacon"
    FACTS = "model facts"
    CONTEXT = "earlier contexts"


@dataclass(frozen=True, slots=True)
class ExpectedSample:
    """What an auditor knows of a checkpoint. What is None is not compared, and the report says
    so."""

    checkpoint: TracedCheckpoint | None = None
    beacon: BlockHash | None = None
    model: NamedModel | None = None
    context: ContextPlace | None = None
    least_draws: int = 1
    """Of each kind."""
    terms: Sequence[TermsPolicy] = ()

    @property
    def unknown(self) -> tuple[Unchecked, ...]:
        known = {
            Unchecked.CHECKPOINT: self.checkpoint,
            Unchecked.BEACON: self.beacon,
            Unchecked.FACTS: self.model,
            Unchecked.CONTEXT: self.context,
        }
        return tuple(what for what, value in known.items() if value is None)

    def verify(self, claim: SampleClaim) -> None:
        """Raises:
        UnexpectedClaim: when the claim is of another session than `terms` ask for.
        UnexpectedSample: for the first thing that is not as it must be.
        """
        for rule in self.terms:
            rule.verify(claim)
        if self.checkpoint is not None:
            _require_checkpoint(self.checkpoint, claim)
        if claim.trace_root.is_zero:
            raise SampleOfNoTrace("cells of no trace", expected="a trace root", got="zero")
        if self.beacon is not None:
            _require_beacon(self.beacon, claim)
        _require_cells(self.least_draws, claim)
        if self.model is not None:
            root = claim.terms.weights_root
            _same(ModelFactsForeign, "root of the weights", self.model.weights_root, root)
            _same(ModelFactsForeign, "digest of the model's facts", self.model.facts, claim.model)
        if self.context is not None:
            _require_context(self.context, claim)


def _require_checkpoint(checkpoint: TracedCheckpoint, claim: SampleClaim) -> None:
    _same(SampleOfOtherSession, "session header", checkpoint.header_digest, claim.header_digest)
    _same(SampleOfOtherSession, "terms of a session", checkpoint.terms, claim.terms)
    _same(SampleOfOtherCheckpoint, "state after", checkpoint.state_after, claim.state_after)
    _same(SampleOfOtherCheckpoint, "tokens after", checkpoint.tokens_after, claim.tokens_after)
    _same(SampleOfOtherTrace, "trace root", checkpoint.trace_root, claim.trace_root)


def _require_beacon(beacon: BlockHash, claim: SampleClaim) -> None:
    _same(BeaconForeign, "block of the beacon", beacon.number, claim.beacon_number)
    _same(BeaconForeign, "beacon", beacon.hash, claim.beacon)


def _require_cells(least_draws: int, claim: SampleClaim) -> None:
    """Every kind, often enough, from everywhere: a part that can draw no cell is unbound, and with
    it what is computed from it."""
    if claim.missing:
        raise KindsLeftOut(
            "kinds of which no cell was drawn",
            expected=f"all {len(COVERED_KINDS)} kinds",
            got=f"none of {', '.join(kind.name for kind in claim.missing)}",
        )
    few = min(claim.cells, key=lambda one: one.draws)
    if few.draws < least_draws:
        raise TooFewDraws(
            f"too few cells of {few.kind.name}", expected=f"at least {least_draws}", got=few.draws
        )
    everywhere = Span(0, claim.layout.positions)
    if claim.covered != everywhere:
        raise PositionsLeftOut(
            "positions that no draw can meet",
            expected=f"{everywhere.count} positions from 0",
            got=f"{claim.covered.count} from {claim.covered.first}",
        )


def _require_context(context: ContextPlace, claim: SampleClaim) -> None:
    _same(ContextForeign, "first entry of the context", context.first_entry, claim.first_entry)
    _same(
        ContextForeign,
        "count of tokens before the context",
        context.tokens_before,
        claim.tokens_before,
    )
    _same(ContextForeign, "count of positions", context.positions, claim.layout.positions)


def _same(
    rejection: Callable[..., UnexpectedSample], what: str, expected: object, got: object
) -> None:
    if expected != got:
        raise rejection(f"another {what}", expected=expected, got=got)
