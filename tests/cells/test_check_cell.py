"""Cells of honest runs are accepted, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from platformless.audit.cells.checking import check_cell
from platformless.audit.cells.errors import (
    CellDeviates,
    CellUnusable,
    ForeignWeights,
    RowNotOpened,
    TokenMissing,
)
from platformless.audit.cells.opened import verified_rows
from platformless.engine.model import Model
from platformless.engine.trace.tracing import open_cells, trace
from platformless.protocol.digests import StateDigest, TraceRoot
from platformless.protocol.trace.cells import Cell, SampledKind
from platformless.protocol.trace.challenge import Beacon, Draws, challenge
from platformless.protocol.trace.errors import OpeningRejected
from platformless.protocol.trace.needs import needed_runs
from platformless.protocol.trace.opening import Run

from .held import SETTINGS, Auditor, HeldTrace, Transcript

CHALLENGES = 25  # of each transcript
KINDS = list(SampledKind)
LAYER, POSITION, ELEMENT, KEY = 7, 30, 5, 11


def drawn(
    held: HeldTrace, answer: int, root: TraceRoot, number: int, k: int = 1
) -> tuple[Cell, ...]:
    """The challenge after block `number`: k cells of each kind."""
    plan = [Draws(held.population(kind, answer), k) for kind in KINDS]
    block = Beacon(sha256(number.to_bytes(4, "little")).digest())
    return challenge(root, StateDigest.zero(), block, plan)


def cell_of(kind: SampledKind) -> Cell:
    """One that every trace here has."""
    layer = LAYER if kind.node.in_layers else 0
    element = 0 if kind is SampledKind.CHOICE else ELEMENT
    return Cell(kind, layer, POSITION, element, KEY if kind.node.causal else 0)


@pytest.mark.parametrize("number", [0, 1])
def test_every_cell_of_honest_runs_is_accepted(
    auditor: Auditor, transcripts: list[Transcript], traces: list[HeldTrace], number: int
) -> None:
    said, held = transcripts[number], traces[number]
    root = held.root
    for block in range(CHALLENGES):
        for cell in drawn(held, said.answer, root, block):
            auditor.check(held, cell)


def test_a_host_opens_and_an_auditor_checks(
    model: Model, auditor: Auditor, transcripts: list[Transcript], traces: list[HeldTrace]
) -> None:
    said, held = transcripts[0], traces[0]
    root = trace(model, said.tokens, SETTINGS).root
    cells = drawn(held, said.answer, root, 99)
    runs = [run for cell in cells for run in needed_runs(held.layout, cell)]
    openings = open_cells(model, said.tokens, SETTINGS, runs, root)
    rows = verified_rows(held.layout, root, openings)
    assert rows == {run: b"".join(held.leaves(run)) for run in runs}
    for cell in cells:
        check_cell(auditor.source(held), cell, rows)


def altered(held: HeldTrace, cell: Cell, change: Callable[[int], int]) -> dict[Run, bytes]:
    """The opened rows, with other bits for the cell's own element."""
    opened = held.opened(cell)
    own = needed_runs(held.layout, cell)[0]
    if cell.kind is SampledKind.V_CACHE:
        values, at = np.frombuffer(opened[own], "<u2").copy(), cell.position
    else:
        size = held.layout.piece_values(cell.kind.node)
        at = cell.key if cell.kind.node.causal else cell.element % size
        values = np.frombuffer(opened[own], "<u4").copy()
    values[at] = change(int(values[at]))
    return {**opened, own: values.tobytes()}


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not SampledKind.CHOICE])
def test_an_element_off_by_little_is_rejected(
    auditor: Auditor, traces: list[HeldTrace], kind: SampledKind
) -> None:
    """By its last bit; a rotated one by more than its bound."""
    cell, held = cell_of(kind), traces[0]
    bit = 1 << 7 if kind in (SampledKind.Q_ROPE, SampledKind.K_ROPE) else 1
    with pytest.raises(CellDeviates, match="CEL-001") as found:
        check_cell(auditor.source(held), cell, altered(held, cell, lambda bits: bits ^ bit))
    error = found.value
    assert error.cell == cell
    assert kind.name in str(error)
    assert f"position {POSITION}" in str(error)
    assert f"element {ELEMENT}" in str(error)
    if error.deviation is None:
        assert error.expected_bits ^ error.got_bits == bit
    assert error.outcome == "rejected"


def test_a_token_that_is_not_the_first_is_rejected(
    auditor: Auditor, transcripts: list[Transcript], traces: list[HeldTrace]
) -> None:
    held, at = traces[0], transcripts[0].answer + 3
    said = held.tokens[at]
    other = replace(held, tokens=(*held.tokens[:at], said + 1, *held.tokens[at + 1 :]))
    with pytest.raises(CellDeviates) as found:
        auditor.check(other, Cell(SampledKind.CHOICE, 0, at - 1, 0))
    assert (found.value.expected_bits, found.value.got_bits) == (said, said + 1)


@pytest.mark.parametrize("bits", [0x7F800000, 0x7FC00000, 0x00000001])
def test_values_that_no_honest_run_has_are_rejected(
    auditor: Auditor, traces: list[HeldTrace], bits: int
) -> None:
    """An infinity, a NaN, a denormal in an input row."""
    cell, held = cell_of(SampledKind.FFN_UP), traces[0]
    opened = held.opened(cell)
    row = needed_runs(held.layout, cell)[1]
    values = np.frombuffer(opened[row], "<u4").copy()
    values[100] = bits
    with pytest.raises(CellUnusable, match=r"CEL-002.*ARI-00[12]"):
        check_cell(auditor.source(held), cell, {**opened, row: values.tobytes()})


@pytest.mark.parametrize("kind", KINDS)
def test_each_needed_row_is_insisted_on(
    auditor: Auditor, traces: list[HeldTrace], kind: SampledKind
) -> None:
    cell, held = cell_of(kind), traces[0]
    opened = held.opened(cell)
    for run in opened:
        rows = {one: data for one, data in opened.items() if one != run}
        with pytest.raises(RowNotOpened, match="CEL-003"):
            check_cell(auditor.source(held), cell, rows)


@pytest.mark.parametrize("kind", [SampledKind.EMBEDDING, SampledKind.CHOICE])
@pytest.mark.parametrize("tokens", [(), (1 << 20,) * 60])
def test_a_transcript_without_the_token_is_refused(
    auditor: Auditor, traces: list[HeldTrace], kind: SampledKind, tokens: tuple[int, ...]
) -> None:
    held = traces[0]
    source = replace(auditor.source(held), tokens=tokens)
    with pytest.raises(TokenMissing, match="CEL-004"):
        check_cell(source, cell_of(kind), held.opened(cell_of(kind)))


def test_rows_of_another_trace_are_not_taken(traces: list[HeldTrace]) -> None:
    cell = cell_of(SampledKind.Q)
    root, openings = traces[0].openings(needed_runs(traces[0].layout, cell))
    assert len(verified_rows(traces[0].layout, root, openings)) == 2
    with pytest.raises(OpeningRejected):
        verified_rows(traces[0].layout, traces[1].root, openings)


@pytest.fixture
def wrong_requests(auditor: Auditor) -> Iterator[Callable[[], object]]:
    weights = auditor.weights
    return iter(
        [
            lambda: weights.row("blk.30.attn_q", 0, 576),
            lambda: weights.row("blk.0.attn_q", 576, 576),
            lambda: weights.row("blk.0.attn_q", -1, 576),
            lambda: weights.row("blk.0.attn_q", 0, 608),
            lambda: weights.row("output_norm", 0, 576),
            lambda: weights.vector("output_norm", 575),
            lambda: weights.vector("blk.0.attn_q", 576),
        ]
    )


def test_rows_that_the_model_has_not_are_refused(
    wrong_requests: Iterator[Callable[[], object]],
) -> None:
    for request in wrong_requests:
        with pytest.raises(ForeignWeights, match="CEL-005"):
            request()
