"""One rotated pair against its bound: what `protocol.arithmetic.rope` says of whole heads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...protocol.arithmetic.rope import Rope, RopeStyle, angles
from ...protocol.arithmetic.rounding import Singles


class Pair(NamedTuple):
    """Of the two elements of a pair, the one that deviates more."""

    deviation: float
    """In parts of |x0 * cos| + |x1 * sin|; infinite where that is 0 and the element is not."""
    expected: float
    got: np.float32


def rotated_pair(rope: Rope, position: int, element: int, head: Singles, rotated: Singles) -> Pair:
    """The pair in which `element` of a head stands; `head` and `rotated` have all dimensions.

    Raises:
        ShapesDiffer: for a position that is no exact single.
    """
    half = rope.dimensions // 2
    if rope.style is RopeStyle.NORMAL:
        number = element // 2
        one, other = 2 * number, 2 * number + 1
    else:
        number = element % half
        one, other = number, number + half
    cosines, sines = angles(rope, position)
    cosine, sine = cosines[number], sines[number]
    x0, x1 = np.float64(head[one]), np.float64(head[other])
    return max(
        _held(x0 * cosine, -(x1 * sine), rotated[one]),
        _held(x0 * sine, x1 * cosine, rotated[other]),
        key=lambda pair: pair.deviation,
    )


def _held(left: np.float64, right: np.float64, got: np.float32) -> Pair:
    expected, room = left + right, np.abs(left) + np.abs(right)
    off = np.abs(np.float64(got) - expected)
    parts = float(off / room) if room > 0 else (float("inf") if off > 0 else 0.0)
    return Pair(parts, float(expected), got)
