"""Honest runs: challenges of transcripts that the model made, each traced with other settings."""

from __future__ import annotations

import time
from dataclasses import dataclass

from platformless.audit.cells.checking import check_cell
from platformless.audit.cells.errors import CellProblem
from platformless.audit.cells.opened import verified_rows
from platformless.engine.model import Model
from platformless.engine.trace.supported import traceable_settings
from platformless.engine.trace.tracing import open_cells, trace
from platformless.protocol.trace.cells import SampledKind
from platformless.protocol.trace.challenge import Draws, challenge
from platformless.protocol.trace.needs import needed_runs
from tests.cells.held import Auditor, HeldTrace, answered, asked

from .cheats_curves import STATE, beacon

ASKED = (
    ("Name the colours of the rainbow.", 40, 1, 512),
    ("Why is the sky blue?", 64, 2, 512),
    ("Write a letter from a lighthouse keeper to his sister.", 121, 1, 32),
    ("How does a computer store numbers? Explain it to a child.", 180, 2, 64),
    ("Tell me about the history of the telescope.", 240, 1, 2),
    ("Write a long story about a dragon who is afraid of mice.", 300, 1, 299),
)
"""Questions, tokens in all at most, threads and tokens at once."""


@dataclass(frozen=True)
class Honest:
    """One transcript."""

    question: str
    tokens: int
    threads: int
    ubatch_tokens: int
    challenges: int
    cells: int
    rejected: int
    capture_seconds: float
    check_seconds: float
    """Of all cells."""
    opened_bytes: int
    """Of one challenge of a cell a kind: rows and paths."""


def measure(model: Model, auditor: Auditor, challenges: int) -> list[Honest]:
    """So many challenges of all transcripts together, of a cell a kind."""
    each = -(-challenges // len(ASKED))
    return [_one(model, auditor, *asked_for, each) for asked_for in ASKED]


def _one(
    model: Model,
    auditor: Auditor,
    question: str,
    length: int,
    threads: int,
    ubatch: int,
    challenges: int,
) -> Honest:
    said = answered(model, asked(model, question), length)
    settings = traceable_settings(threads=threads, ubatch_tokens=ubatch)
    found = trace(model, said.tokens, settings)
    started = time.perf_counter()
    held = HeldTrace.of(model, said.tokens)
    captured = time.perf_counter()
    if held.root != found.root:
        raise AssertionError(f"{settings} give another root")
    plan = [Draws(held.population(kind, said.answer), 1) for kind in SampledKind]
    source, rejected, cells = auditor.source(held), 0, 0
    checking = 0.0
    for number in range(challenges):
        block = beacon("honest", question, number)
        for cell in challenge(found.root, STATE, block, plan):
            rows = held.opened(cell)
            before = time.perf_counter()
            try:
                check_cell(source, cell, rows)
            except CellProblem as problem:
                print(problem)
                rejected += 1
            checking += time.perf_counter() - before
            cells += 1
    drawn = challenge(found.root, STATE, beacon("honest", question, 0), plan)
    runs = [run for cell in drawn for run in needed_runs(held.layout, cell)]
    openings = open_cells(model, said.tokens, settings, runs, found.root)
    rows = verified_rows(held.layout, found.root, openings)
    for cell in drawn:
        check_cell(source, cell, rows)
    opened = sum(len(one.data) + 32 * (len(one.node_path) + len(one.top_path)) for one in openings)
    return Honest(
        question,
        len(said.tokens),
        threads,
        ubatch,
        challenges,
        cells,
        rejected,
        captured - started,
        checking,
        opened,
    )
