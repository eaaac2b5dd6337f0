"""The sample claim: its words, its plan, and what its cells are worth."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.arithmetic.operations import Operation, Reference
from platformless.protocol.digests import HeaderDigest, StateDigest, TraceRoot
from platformless.protocol.errors import ClaimFormatError
from platformless.protocol.sample.claim import HEAD_WORDS, SampleClaim, sampled_cells
from platformless.protocol.sample.detection import detection, draws_needed, fraction_caught
from platformless.protocol.sample.errors import PlanInvalid
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.sample.plan import COVERED_KINDS, MAX_CELLS, SamplePlan
from platformless.protocol.trace.cells import SampledKind, Span
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.trace.layout import TraceLayout
from platformless.protocol.trace.settings import TraceSettingsDigest
from platformless.protocol.transcript import Tokens

from ..samples import TERMS
from ..vectors.make_trace import SMOLLM2

LAYOUT = TraceLayout(SMOLLM2, 268)
PLAN = SamplePlan.even(32, Span(48, 220))
CLAIM = SampleClaim(
    header_digest=HeaderDigest(b"\x01" * 32),
    terms=TERMS,
    tokens_after=Tokens(220),
    state_after=StateDigest(b"\x02" * 32),
    first_entry=4,
    tokens_before=Tokens(77),
    layout=LAYOUT,
    trace_root=TraceRoot(b"\x03" * 32),
    settings=TraceSettingsDigest(b"\x04" * 32),
    reference=Reference.AVX2,
    model=ModelFactsDigest(b"\x05" * 32),
    beacon_number=1234,
    beacon=Beacon(b"\x06" * 32),
    covered=PLAN.covered,
    cells=sampled_cells(PLAN, LAYOUT),
)


def test_a_claim_is_read_back_from_its_words() -> None:
    journal = CLAIM.encode()
    assert len(journal) == 32 * (HEAD_WORDS + len(COVERED_KINDS))
    assert SampleClaim.decode(journal) == CLAIM
    assert CLAIM.plan == PLAN
    assert CLAIM.missing == ()


@pytest.mark.parametrize("byte", range(0, len(CLAIM.encode()), 7))
def test_a_changed_byte_is_another_claim_or_none(byte: int) -> None:
    journal = bytearray(CLAIM.encode())
    journal[byte] ^= 1
    with suppress(ClaimFormatError):
        assert SampleClaim.decode(bytes(journal)) != CLAIM


def test_populations_operations_and_tolerances_are_the_kinds_own() -> None:
    first, *others = CLAIM.cells
    for wrong in (
        replace(first, population=first.population - 1),
        replace(first, operation=Operation.NORM),
        replace(first, tolerance=5),
    ):
        with pytest.raises(ClaimFormatError):
            SampleClaim.decode(replace(CLAIM, cells=(wrong, *others)).encode())


def test_only_rotations_have_a_tolerance() -> None:
    loose = {one.kind for one in CLAIM.cells if one.tolerance}
    assert loose == {SampledKind.Q_ROPE, SampledKind.K_ROPE}


def test_a_claim_without_a_kind_says_which() -> None:
    plan = SamplePlan.of({SampledKind.Q: 2, SampledKind.LOGITS: 1}, PLAN.covered)
    claim = replace(CLAIM, cells=sampled_cells(plan, LAYOUT))
    assert SampledKind.SOFTMAX in claim.missing
    assert SampleClaim.decode(claim.encode()) == claim


@pytest.mark.parametrize(
    "draws",
    [
        (),
        ((SampledKind.CHOICE, 1),),
        ((SampledKind.K, 1), (SampledKind.Q, 1)),
        ((SampledKind.Q, 0),),
        ((SampledKind.Q, MAX_CELLS + 1),),
    ],
)
def test_plans_that_no_guest_takes_are_refused(draws: tuple[tuple[SampledKind, int], ...]) -> None:
    with pytest.raises(PlanInvalid):
        SamplePlan(draws, Span(0, 10))


def test_positions_must_be_of_the_trace() -> None:
    with pytest.raises(PlanInvalid):
        SamplePlan.even(21, Span(200, 69)).challenged(LAYOUT)


@given(cells=st.integers(1, MAX_CELLS))
def test_cells_are_spread_evenly(cells: int) -> None:
    counts = [count for _, count in SamplePlan.even(cells, Span(0, 1)).draws]
    assert sum(counts) == cells
    assert max(counts) - min(counts) <= 1


@given(fraction=st.floats(0.001, 0.999), draws=st.integers(1, 500))
def test_detection_is_the_complement_of_missing_every_draw(fraction: float, draws: int) -> None:
    missed = 1.0
    for _ in range(draws):
        missed *= 1 - fraction
    assert detection(fraction, draws) == pytest.approx(1 - missed)


def test_draws_and_fractions_belong_together() -> None:
    assert draws_needed(1 / 30, 0.95) == 89
    assert detection(1 / 30, 89) >= 0.95 > detection(1 / 30, 88)
    assert detection(fraction_caught(0.99, 32), 32) == pytest.approx(0.99)
