"""The `sample` claim: what one proof of sampled cells says in public.

Twenty-three 32-byte words, then one for each kind of cells, big-endian: the journal of the guest
`sample` (docs/formats.md, "Sample claim").
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from ..arithmetic.errors import ReferenceUnknown
from ..arithmetic.operations import Operation, Reference
from ..digests import HeaderDigest, StateDigest, TraceRoot
from ..errors import ClaimFormatError, ProtocolError
from ..terms import SessionTerms
from ..trace.cells import SampledKind, Span
from ..trace.challenge import Beacon
from ..trace.layout import TraceLayout
from ..trace.nodes import ModelShape
from ..trace.settings import TraceSettingsDigest
from ..transcript import Tokens
from ..words import U32_MAX, U64_MAX, WORD_BYTES, in_range, number_word, split_words, word_number
from .detection import detection
from .facts import ModelFactsDigest
from .plan import COVERED_KINDS, OPERATION_OF, SamplePlan, tolerance_units

CLAIM_KIND = "sample"
SAMPLE_KIND = 3
VERSION = 1
HEAD_WORDS = 23
_KIND_AND_VERSION = (SAMPLE_KIND << 32) | VERSION
_SHAPE = struct.Struct(">8I")
_ROW = struct.Struct(">4IQ8x")
_U64_BITS = 64


@dataclass(frozen=True, slots=True)
class SampledCells:
    """The cells of one kind."""

    kind: SampledKind
    draws: int
    """k."""
    operation: Operation
    """How each was recomputed."""
    tolerance: int
    """In units of 2^-24 of what the operation is measured by; 0: to the bit."""
    population: int
    """N: how many cells of the kind there are."""

    def __post_init__(self) -> None:
        in_range("draws of a kind", self.draws, U32_MAX)
        in_range("cells of a kind", self.population, U64_MAX)

    def detection(self, fraction: float) -> float:
        """How likely one of the draws meets a deviating cell, if that fraction deviates."""
        return detection(fraction, self.draws)

    def encode(self) -> bytes:
        return _ROW.pack(
            self.kind.value, self.draws, self.operation, self.tolerance, self.population
        )


@dataclass(frozen=True, slots=True)
class SampleClaim:
    """Cells of the trace with `trace_root`, drawn with `beacon`, follow from their inputs by the
    arithmetic `reference` and the weights of the session's header; the trace's tokens are the
    entries of the transcript from `first_entry` to `state_after`."""

    header_digest: HeaderDigest
    terms: SessionTerms
    tokens_after: Tokens
    """Completion tokens of the whole transcript."""
    state_after: StateDigest
    first_entry: int
    """Number of the entry with which the model's context began. What came before is not covered."""
    tokens_before: Tokens
    """Completion tokens before that entry."""
    layout: TraceLayout
    """Sizes of the model, and positions: the tokens of the context."""
    trace_root: TraceRoot
    settings: TraceSettingsDigest
    """The guest checks that their text fits `reference`."""
    reference: Reference
    model: ModelFactsDigest
    """Carried by the guest; an auditor makes it anew from the file of the weights root."""
    beacon_number: int
    """Carried, not checked, by the guest."""
    beacon: Beacon
    """That it is the hash of that block is for whoever has the chain to check."""
    covered: Span
    """Positions from which cells were drawn."""
    cells: tuple[SampledCells, ...]

    def __post_init__(self) -> None:
        in_range("tokens after", self.tokens_after, U64_MAX)
        in_range("tokens before", self.tokens_before, self.tokens_after)
        in_range("first entry", self.first_entry, U32_MAX)
        in_range("beacon's block", self.beacon_number, U64_MAX)

    @property
    def plan(self) -> SamplePlan:
        """What was drawn."""
        return SamplePlan(tuple((one.kind, one.draws) for one in self.cells), self.covered)

    @property
    def missing(self) -> tuple[SampledKind, ...]:
        """Kinds of which no cell was drawn: without all of them, a computation is not tied
        together."""
        drawn = {one.kind for one in self.cells}
        return tuple(kind for kind in COVERED_KINDS if kind not in drawn)

    def encode(self) -> bytes:
        """The journal."""
        shape = self.layout.shape
        return b"".join(
            (
                number_word(_KIND_AND_VERSION),
                self.header_digest.value,
                self.terms.encode(),
                number_word(self.tokens_after),
                self.state_after.value,
                number_word(self.tokens_before << _U64_BITS | self.first_entry),
                _SHAPE.pack(
                    *(getattr(shape, name) for name in shape.__dataclass_fields__),
                    self.layout.positions,
                ),
                self.trace_root.value,
                self.settings.value,
                self.reference.encode("ascii").ljust(WORD_BYTES, b"\0"),
                self.model.value,
                number_word(self.beacon_number),
                self.beacon.value,
                number_word(self.covered.first << 32 | self.covered.count),
                number_word(sum(one.draws for one in self.cells)),
                number_word(len(self.cells)),
                *(one.encode() for one in self.cells),
            )
        )

    @classmethod
    def decode(cls, journal: bytes) -> Self:
        """Reads a journal.

        Raises:
            ClaimFormatError: when the bytes are not a `sample` claim of this version, or one whose
                kinds, operations, tolerances or populations are not those of its sizes.
        """
        words = split_words(journal)
        if len(words) <= HEAD_WORDS or len(journal) % WORD_BYTES:
            raise ClaimFormatError(
                "claim of a wrong length",
                expected=f"more than {HEAD_WORDS} words",
                got=f"{len(journal)} bytes",
            )
        if word_number(words[0]) != _KIND_AND_VERSION:
            raise ClaimFormatError(
                "not a sample claim of this version",
                expected=number_word(_KIND_AND_VERSION).hex(),
                got=words[0].hex(),
            )
        try:
            claim = cls._read(words)
        except ClaimFormatError:
            raise
        except (ProtocolError, ValueError, ReferenceUnknown) as error:
            raise ClaimFormatError("claim with values out of range", got=str(error)) from error
        if claim.encode() != journal:
            raise ClaimFormatError("claim in another spelling than its own")
        claim._require_own_rows()
        return claim

    @classmethod
    def _read(cls, words: list[bytes]) -> Self:
        *sizes, positions = _SHAPE.unpack(words[13])
        covered, before = word_number(words[20]), word_number(words[12])
        rows = []
        for word in words[HEAD_WORDS:]:
            kind, draws, operation, tolerance, population = _ROW.unpack(word)
            rows.append(
                SampledCells(SampledKind(kind), draws, Operation(operation), tolerance, population)
            )
        return cls(
            header_digest=HeaderDigest(words[1]),
            terms=SessionTerms.decode(words[2:10]),
            tokens_after=Tokens(word_number(words[10])),
            state_after=StateDigest(words[11]),
            first_entry=before & U64_MAX,
            tokens_before=Tokens(before >> _U64_BITS),
            layout=TraceLayout(ModelShape(*sizes), positions),
            trace_root=TraceRoot(words[14]),
            settings=TraceSettingsDigest(words[15]),
            reference=Reference.named(words[16].rstrip(b"\0").decode("ascii")),
            model=ModelFactsDigest(words[17]),
            beacon_number=word_number(words[18]),
            beacon=Beacon(words[19]),
            covered=Span(covered >> 32, covered & U32_MAX),
            cells=tuple(rows),
        )

    def _require_own_rows(self) -> None:
        """Populations follow from sizes and positions, operations and tolerances from kinds."""
        try:
            expected = sampled_cells(self.plan, self.layout)
        except ProtocolError as error:
            raise ClaimFormatError("claim with an impossible plan", got=error.message) from error
        if self.cells != expected:
            raise ClaimFormatError("claim with cells of another kind", expected=expected)


def sampled_cells(plan: SamplePlan, layout: TraceLayout) -> tuple[SampledCells, ...]:
    """The last words of a claim.

    Raises:
        PlanInvalid: for positions that the trace does not have.
    """
    return tuple(
        SampledCells(
            draws.population.kind,
            draws.count,
            OPERATION_OF[draws.population.kind],
            tolerance_units(draws.population.kind),
            draws.population.size,
        )
        for draws in plan.challenged(layout)
    )
