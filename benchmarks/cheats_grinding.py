"""What it costs to look for a trace root whose challenge misses what was changed, for a host that
knows the beacon beforehand; and a root that is of another run."""

from __future__ import annotations

import math
import struct
import time
from dataclasses import dataclass
from hashlib import sha256

from platformless.audit.cells.opened import verified_rows
from platformless.protocol.digests import tagged_sha256
from platformless.protocol.trace.challenge import Draws
from platformless.protocol.trace.errors import OpeningRejected
from platformless.protocol.trace.layout import LEAF_HEAD, LEAF_TAG
from platformless.protocol.trace.merkle import NODE_TAG
from platformless.protocol.trace.needs import needed_runs
from platformless.protocol.trace.nodes import Node
from platformless.protocol.trace.opening import Run
from tests.cells.held import HeldTrace

from .cheats_cases import Case
from .cheats_curves import STATE, Measured, beacon, cells_of
from .cheats_verdicts import KINDS, Verdicts

TRIED = 20_000
GROUND, GRINDING_COUNT = 200, 32


@dataclass(frozen=True)
class Ground:
    """A host that looked for roots, knowing the beacon."""

    roots_a_second: float
    name: str
    k: int
    found: int
    expected_tries: float
    tries: float
    """On average."""


def log_tries(measured: Measured, k: int) -> float:
    """The logarithm to base 10 of 1 / product of (1 - f)^k over the kinds: roots to be tried, on
    average. Infinite where all cells of a kind deviate: no root passes."""
    shares = measured.shares.values()
    if 1 in shares:
        return math.inf
    return -k * sum(math.log1p(-share) for share in shares) / math.log(10)


class _Roots:
    """Roots of a trace whose last logits are varied: one leaf and its path are hashed anew."""

    def __init__(self, held: HeldTrace) -> None:
        layout = held.layout
        run = Run.element(layout, Node.LOGITS, 0, layout.positions - 1, layout.shape.vocabulary - 1)
        root, (opening,) = held.openings([run])
        self._layout, self._data = layout, bytearray(opening.data)
        self._head = LEAF_TAG + LEAF_HEAD.pack(
            layout.index(Node.LOGITS), run.position, run.first_piece
        )
        # The last leaf of the last node: every neighbour is to its left.
        self._path = (*opening.node_path, *opening.top_path)
        if self.root(bytes(self._data[-4:])) != root.value:
            raise AssertionError("the path does not lead to the root")

    def root(self, last: bytes) -> bytes:
        self._data[-4:] = last
        digest = sha256(self._head + self._data).digest()
        for left in self._path:
            digest = sha256(NODE_TAG + left + digest).digest()
        return self._layout.root(digest).value


def grind(case: Case, verdicts: Verdicts, measured: Measured) -> Ground:
    """Looks for roots whose challenge of k cells a kind meets nothing, many times."""
    roots, k = _Roots(case.held), GRINDING_COUNT
    started = time.perf_counter()
    for number in range(TRIED):
        roots.root(struct.pack("<f", 1 + number * 2.0**-20))
    rate = TRIED / (time.perf_counter() - started)
    kinds = sorted((kind for kind in KINDS if kind.name in measured.shares), key=lambda x: x.value)
    plan = [Draws(case.held.population(kind), k) for kind in kinds]
    tries = 0
    for number in range(GROUND):
        block = beacon("known", number)
        while True:
            tries += 1
            root = roots.root(struct.pack("<f", 1 + tries * 2.0**-20))
            seed = tagged_sha256("trace-challenge", root + STATE.value + block.value)
            if not any(_meets(verdicts, seed, draws) for draws in plan):
                break
    return Ground(rate, case.name, k, GROUND, 10 ** log_tries(measured, k), tries / GROUND)


def _meets(verdicts: Verdicts, seed: bytes, draws: Draws) -> bool:
    """Whether a drawn cell deviates; ends at the first. A draw beyond the last multiple of the
    cells, one in 2^40, is not thrown away here."""
    population = draws.population
    for number in range(draws.count):
        payload = seed + struct.pack("<3I", population.kind.value, number, 0)
        drawn = int.from_bytes(tagged_sha256("trace-draw", payload)[:8], "little")
        if verdicts.deviates(population.cell(drawn % population.size)):
            return True
    return False


def foreign_root(held: HeldTrace, other: HeldTrace) -> tuple[int, int]:
    """Rows opened under the root of another run of as many tokens: runs, and how many were
    rejected."""
    root, kinds = other.root, list(KINDS)
    cells = cells_of(held, root, kinds, 1, beacon("foreign"))
    runs = [run for cell in cells for run in needed_runs(held.layout, cell)]
    rejected = 0
    for opening in held.openings(runs)[1]:
        try:
            verified_rows(held.layout, root, [opening])
        except OpeningRejected:
            rejected += 1
    return len(runs), rejected
