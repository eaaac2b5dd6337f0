"""Which cells a host must open: drawn from what it committed to and a block that came after.

All integers are u32, little-endian; hashes are the protocol's tagged SHA-256.

    seed    tagged_sha256("trace-challenge", trace root + state after + beacon)
    draw    tagged_sha256("trace-draw", seed + kind + number of the draw + attempt): its first
            eight bytes, a u64, little-endian
    cell    for a population of n cells: the draw modulo n. A draw of 2^64 - (2^64 mod n) or more
            is thrown away, and the next attempt taken, so that no cell is more likely
    cells   kind by kind, in the order of draws; the same cell may come twice

Draws are independent: if a fraction f of a kind's cells deviates, k draws meet none of them with
probability (1 - f)^k. How many are drawn changes none of them: of a kind, k draws are the first k
of any more, and the other kinds' stay as they are. A host that may choose to draw more has nothing
to choose from.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ..digests import FixedBytes, StateDigest, TraceRoot, tagged_sha256
from ..words import U32_MAX, in_range
from .cells import Cell, Population
from .errors import ChallengeInvalid

_DRAWN = 8
_RANGE = 1 << (8 * _DRAWN)


class Beacon(FixedBytes):
    """Hash of a block that nobody knew when the trace was committed to."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How many cells of a population are asked for.

    Raises:
        ValueOutOfRange: for a count that is no u32.
    """

    population: Population
    count: int

    def __post_init__(self) -> None:
        in_range("draws of a kind", self.count, U32_MAX)


def challenge(
    root: TraceRoot, state_after: StateDigest, beacon: Beacon, plan: Sequence[Draws]
) -> tuple[Cell, ...]:
    """The cells that are asked of a host.

    Raises:
        ChallengeInvalid: when there is no trace, or kinds are out of order or repeated.
    """
    if root.is_zero:
        raise ChallengeInvalid("nothing to ask where there is no trace", got=root)
    kinds = [draws.population.kind.value for draws in plan]
    if kinds != sorted(set(kinds)):
        raise ChallengeInvalid("kinds out of order", expected=sorted(set(kinds)), got=kinds)
    seed = tagged_sha256("trace-challenge", root.value + state_after.value + beacon.value)
    return tuple(
        draws.population.cell(_draw(seed, draws.population, number))
        for draws in plan
        for number in range(draws.count)
    )


def _draw(seed: bytes, population: Population, number: int) -> int:
    size = population.size
    limit = _RANGE - _RANGE % size
    attempt = 0
    while True:
        payload = seed + struct.pack("<3I", population.kind.value, number, attempt)
        drawn = int.from_bytes(tagged_sha256("trace-draw", payload)[:_DRAWN], "little")
        if drawn < limit:
            return drawn % size
        attempt += 1
