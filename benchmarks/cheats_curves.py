"""How often a cheat is caught by k cells a kind, beside what the formula promises."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from platformless.audit.cells.checking import check_cell
from platformless.audit.cells.errors import CellDeviates
from platformless.audit.cells.opened import verified_rows
from platformless.protocol.digests import StateDigest, TraceRoot
from platformless.protocol.trace.cells import Cell, SampledKind
from platformless.protocol.trace.challenge import Beacon, Draws, challenge
from platformless.protocol.trace.needs import needed_runs
from tests.cells.held import Auditor, HeldTrace
from tests.engine.traced import TracedModel

from .cheats_cases import Case
from .cheats_verdicts import KINDS, Verdicts

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CHALLENGES, FEWER = 1000, 200
_MANY_KINDS = 4
_CELL_CHECKS, _OPENED_CHECKS = 10, 1  # cells a kind
LEAST_CHANCE = 1e-3
STATE = StateDigest.zero()


@dataclass(frozen=True)
class Point:
    """k cells of each kind."""

    k: int
    promised: float
    caught: int
    challenges: int

    @property
    def rate(self) -> float:
        return self.caught / self.challenges

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's, for the rate."""
        n, p = self.challenges, self.rate
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    @property
    def chance(self) -> float:
        """How likely so few are caught, or fewer, where the formula is right."""
        n, p = self.challenges, self.promised
        if self.caught == n:
            return 1.0
        if p <= 0 or p >= 1:
            return float(p <= 0)
        return math.fsum(
            math.exp(_log_ways(n, caught) + caught * math.log(p) + (n - caught) * math.log1p(-p))
            for caught in range(self.caught + 1)
        )

    @property
    def keeps_promise(self) -> bool:
        """Not below the formula by more than chance explains."""
        return self.chance > LEAST_CHANCE


@dataclass(frozen=True)
class Measured:
    name: str
    tokens: int
    shares: dict[str, float]
    """The fraction f of a kind's cells that deviate, of kinds where there are any: exact."""
    counts: dict[str, int]
    choices: float
    """Of the answer's tokens, how many are not the first of the committed logits."""
    otherwise: float
    """Of the answer's tokens, how many the registered model would have chosen otherwise."""
    points: tuple[Point, ...]
    of_kinds: dict[str, tuple[Point, ...]]
    checked: int
    """Cells that `check_cell` was asked about; it agreed with the counted ones on all."""
    rejected: int
    seconds: float


def measure(case: Case, registered: TracedModel, auditor: Auditor) -> Measured:
    started = time.perf_counter()
    held, verdicts = case.held, Verdicts(registered, case.held)
    for kind in KINDS:
        layers = range(held.population(kind).layers)
        touched = case.touched.get(kind, [])
        verdicts.clear(kind, [layer for layer in layers if layer not in touched])
    counts = {kind: verdicts.count(kind) for kind in case.touched}
    shares = {kind: count / held.population(kind).size for kind, count in counts.items() if count}
    checked, rejected = _compare(held, verdicts, auditor)
    firsts = _first_deviations(held, verdicts, list(shares))
    rounds = firsts.shape[1]
    points, of_kinds = [], {}
    for k in COUNTS:
        missed = math.prod((1 - share) ** k for share in shares.values())
        caught = int((firsts < k).any(axis=0).sum())
        points.append(Point(k, 1 - missed, caught, rounds))
    for row, (kind, share) in enumerate(shares.items()):
        of_kinds[kind.name] = tuple(
            Point(k, 1 - (1 - share) ** k, int((firsts[row] < k).sum()), rounds) for k in COUNTS
        )
    answer = slice(case.answer - 1, len(held.tokens) - 1)
    wrong = verdicts.flags(SampledKind.CHOICE, 0)[answer]
    honest = HeldTrace.of(registered.model, held.tokens)
    otherwise = Verdicts(registered, honest).flags(SampledKind.CHOICE, 0)[answer]
    return Measured(
        case.name,
        len(held.tokens),
        {kind.name: share for kind, share in shares.items()},
        {kind.name: counts[kind] for kind in shares},
        float(wrong.mean()),
        float(otherwise.mean()),
        tuple(points),
        of_kinds,
        checked,
        rejected,
        time.perf_counter() - started,
    )


def _log_ways(n: int, some: int) -> float:
    """The logarithm of n over some."""
    return math.lgamma(n + 1) - math.lgamma(some + 1) - math.lgamma(n - some + 1)


def beacon(*names: object) -> Beacon:
    """A block that came later."""
    return Beacon(sha256(repr(names).encode()).digest())


def cells_of(
    held: HeldTrace, root: TraceRoot, kinds: Sequence[SampledKind], k: int, block: Beacon
) -> tuple[Cell, ...]:
    """The challenge of k cells of each kind."""
    plan = [Draws(held.population(kind), k) for kind in sorted(kinds, key=lambda one: one.value)]
    return challenge(root, STATE, block, plan)


def rejects(auditor: Auditor, held: HeldTrace, cell: Cell) -> bool:
    try:
        auditor.check(held, cell)
    except CellDeviates:
        return True
    return False


def _compare(held: HeldTrace, verdicts: Verdicts, auditor: Auditor) -> tuple[int, int]:
    """Asks the auditor's own check about the cells of challenges of all kinds; the first also with
    paths to the root. Cells, and how many it rejected."""
    root, kinds = held.root, list(KINDS)
    cells = cells_of(held, root, kinds, _OPENED_CHECKS, beacon("opened"))
    runs = [run for cell in cells for run in needed_runs(held.layout, cell)]
    rows = verified_rows(held.layout, root, held.openings(runs)[1])
    source = auditor.source(held)
    rejected = 0
    for cell in cells:
        try:
            check_cell(source, cell, rows)
            said = False
        except CellDeviates:
            said = True
        _agree(cell, said, verdicts)
        rejected += said
    more = cells_of(held, root, kinds, _CELL_CHECKS, beacon("checked"))
    for cell in more:
        said = rejects(auditor, held, cell)
        _agree(cell, said, verdicts)
        rejected += said
    return len(cells) + len(more), rejected


def _agree(cell: Cell, said: bool, verdicts: Verdicts) -> None:
    if said != verdicts.deviates(cell):
        raise AssertionError(f"the two checks disagree about {cell}: {said}")


def _first_deviations(
    held: HeldTrace, verdicts: Verdicts, kinds: list[SampledKind]
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """[kinds, challenges]: the number of the first draw that meets a deviating cell; as many as
    are drawn, where none does."""
    root, most = held.root, COUNTS[-1]
    rounds = CHALLENGES if len(kinds) <= _MANY_KINDS else FEWER
    firsts = np.full((len(kinds), rounds), most, np.int64)
    rows = {kind: row for row, kind in enumerate(kinds)}
    for number in range(rounds):
        cells = cells_of(held, root, kinds, most, beacon("curve", number))
        for place, cell in enumerate(cells):
            draw, row = place % most, rows[cell.kind]
            if draw < firsts[row, number] and verdicts.deviates(cell):
                firsts[row, number] = draw
    return firsts
