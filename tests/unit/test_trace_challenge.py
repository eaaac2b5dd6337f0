"""Cells that are drawn: numbered without gaps, uniform, and bound to everything they come from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.digests import StateDigest, TraceRoot
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.trace.cells import Cell, Population, SampledKind, Span
from platformless.protocol.trace.challenge import Beacon, Draws, challenge
from platformless.protocol.trace.errors import ChallengeInvalid

from ..vectors.make_trace import HUGE, SMALL, SMOLLM2, plan

ROOT, STATE = TraceRoot(sha256(b"root").digest()), StateDigest(sha256(b"state").digest())
BEACON = Beacon(sha256(b"beacon").digest())
PLAN = plan(SMOLLM2, 268, 4, (Span(47, 220),))
SPANS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=3)


def spans(gaps: list[tuple[int, int]]) -> tuple[Span, ...]:
    placed, end = [], 0
    for gap, count in gaps:
        placed.append(Span(end + gap, count))
        end += gap + count
    return tuple(placed)


@given(kind=st.sampled_from(SampledKind), gaps=SPANS)
def test_each_cell_of_a_kind_has_one_number(kind: SampledKind, gaps: list[tuple[int, int]]) -> None:
    small = replace(SMALL, embedding=5, head_size=1, ffn=7, vocabulary=6)
    population = Population.of(kind, small, spans(gaps))
    layers = range(small.layers if kind.node.in_layers else 1)
    elements = 1 if kind is SampledKind.CHOICE else small.width(kind.node)
    expected = [
        Cell(kind, layer, position, element, key)
        for layer in layers
        for span in spans(gaps)
        for position in range(span.first, span.first + span.count)
        for element in range(elements)
        for key in (range(position + 1) if kind.node.causal else (0,))
    ]
    assert [population.cell(number) for number in range(population.size)] == expected
    for number in (-1, population.size):
        with pytest.raises(ChallengeInvalid):
            population.cell(number)


def test_the_last_cell_of_a_long_transcript_has_the_last_number() -> None:
    population = Population.of(SampledKind.KQ, SMOLLM2, (Span(0, 1 << 20),))
    last = (1 << 20) - 1
    assert population.cell(population.size - 1) == Cell(SampledKind.KQ, 29, last, 8, last)


@pytest.mark.parametrize("kind", [SampledKind.V, SampledKind.SOFTMAX])
def test_draws_are_uniform(kind: SampledKind) -> None:
    small = replace(SMALL, layers=1, kv_heads=1, heads=2, head_size=12)
    population = Population.of(kind, small, (Span(2, 5),))
    count = 200 * population.size
    drawn = Counter(challenge(ROOT, STATE, BEACON, [Draws(population, count)]))
    expected = count / population.size
    square = sum(
        (drawn[population.cell(number)] - expected) ** 2 / expected
        for number in range(population.size)
    )
    freedom = population.size - 1
    # Five standard deviations of the chi-square distribution; the seeds are fixed.
    assert abs(square - freedom) < 5 * (2 * freedom) ** 0.5


def test_draws_that_would_favour_cells_are_thrown_away() -> None:
    (huge,) = HUGE
    size, count = huge.population.size, 3000
    assert size == 3 << 62
    cells = challenge(ROOT, STATE, BEACON, [replace(huge, count=count)])
    # Without that, the third with the lowest numbers would have half of the draws.
    third = sum(cell.layer < huge.population.layers // 3 for cell in cells)
    assert abs(third - count / 3) < 5 * (count * 2 / 9) ** 0.5


@given(place=st.integers(0, 31), bit=st.integers(0, 7), which=st.integers(0, 2))
def test_any_bit_of_any_input_changes_the_cells(place: int, bit: int, which: int) -> None:
    inputs = [ROOT.value, STATE.value, BEACON.value]
    changed = bytearray(inputs[which])
    changed[place] ^= 1 << bit
    inputs[which] = bytes(changed)
    cells = challenge(ROOT, STATE, BEACON, PLAN)
    others = challenge(TraceRoot(inputs[0]), StateDigest(inputs[1]), Beacon(inputs[2]), PLAN)
    assert len(cells) == len(others) == 4 * len(SampledKind)
    # Of kinds with few cells some may be met by both.
    assert sum(cell == other for cell, other in zip(cells, others, strict=True)) < 4


@given(
    counts=st.lists(st.integers(1, 6), min_size=len(PLAN), max_size=len(PLAN)),
    left_out=st.sets(st.sampled_from(SampledKind)),
)
def test_a_host_cannot_choose_cells_by_how_many_it_draws(
    counts: list[int], left_out: set[SampledKind]
) -> None:
    asked = challenge(ROOT, STATE, BEACON, [replace(draws, count=6) for draws in PLAN])
    chosen = [
        replace(draws, count=count)
        for draws, count in zip(PLAN, counts, strict=True)
        if draws.population.kind not in left_out
    ]
    cells = challenge(ROOT, STATE, BEACON, chosen)
    for draws in chosen:
        kind = draws.population.kind
        expected = [cell for cell in asked if cell.kind is kind][: draws.count]
        assert [cell for cell in cells if cell.kind is kind] == expected


def test_kinds_have_cells_of_their_own() -> None:
    gate = Population.of(SampledKind.FFN_GATE, SMOLLM2, (Span(0, 268),))
    up = replace(gate, kind=SampledKind.FFN_UP)
    drawn = challenge(ROOT, STATE, BEACON, [Draws(gate, 4), Draws(up, 4)])
    places = [(cell.layer, cell.position, cell.element) for cell in drawn]
    assert not set(places[:4]) & set(places[4:])


def test_another_root_gives_a_host_no_cell_that_it_could_foresee() -> None:
    # Of a thousand roots for one beacon, a cell of a kind with a million comes up as often as
    # chance has it: the only way to choose is to try.
    population = PLAN[2].population
    wanted = population.size // 100
    hits = 0
    for number in range(1000):
        root = TraceRoot(sha256(b"%d" % number).digest())
        (cell,) = challenge(root, STATE, BEACON, [Draws(population, 1)])
        place = (cell.layer * 268 + cell.position) * population.elements + cell.element
        hits += place < wanted
    assert 1 <= hits <= 25  # 10 expected


def test_each_kind_is_asked_for_once_and_in_order() -> None:
    for wrong in (list(reversed(PLAN)), [PLAN[0], PLAN[0]]):
        with pytest.raises(ChallengeInvalid, match="out of order"):
            challenge(ROOT, STATE, BEACON, wrong)


@pytest.mark.parametrize("count", [-1, 1 << 32])
def test_a_count_of_draws_is_a_u32(count: int) -> None:
    with pytest.raises(ValueOutOfRange):
        Draws(PLAN[0].population, count)


def test_nothing_is_asked_where_there_is_no_trace_or_no_cell() -> None:
    with pytest.raises(ChallengeInvalid, match="no trace"):
        challenge(TraceRoot.zero(), STATE, BEACON, PLAN)
    for wrong in ((), (Span(3, 0),), (Span(3, 2), Span(4, 2)), (Span((1 << 32) - 1, 1),)):
        with pytest.raises(ChallengeInvalid):
            Population.of(SampledKind.V, SMALL, wrong)
    with pytest.raises(ChallengeInvalid, match="numbered"):
        Population(SampledKind.LOGITS, 1 << 31, 1 << 31, (Span(0, 1 << 31),))
