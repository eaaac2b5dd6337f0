"""The rotation of queries and keys by their position: the one operation with a bound.

ggml makes the angles in singles, theta_0 = position, theta_i+1 = theta_i * scale, and takes sine
and cosine from the platform's library. Pair i, (x0, x1), becomes

    (x0 * cos(theta_i) - x1 * sin(theta_i),  x0 * sin(theta_i) + x1 * cos(theta_i))

in singles; whether with a fused multiply-add is the compiler's choice. The angles are recomputed to
the bit, sine and cosine in integers (errors below 2^-55), the rotation in doubles.

Bound, with u = 2^-24 and A = |x0 * cos| + |x1 * sin|, of the first element (the second likewise):
a library whose sine and cosine err by at most one unit in the last place (glibc's documented limit)
changes each by at most 2u of itself; each product is rounded by at most u of itself, and the sum by
at most u of A. Together less than ((1 + 2u)(1 + u)^2 - 1) A < 4u A + 6u² A. `ROPE_BOUND` is 5u.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .errors import CellRejected, ShapesDiffer
from .operations import ROPE_BOUND
from .rounding import Doubles, Singles, require_normal
from .scalar import pack, take_apart

_MOST_POSITIONS = 1 << 24
_TWO_OVER_PI = 807011436558923259726928379167  # floor(2^100 * 2 / pi)
_HALF_PI = 7244019458077122842  # floor(2^62 * pi / 2)
_ONE = 1 << 62


class RopeStyle(IntEnum):
    """Which elements of a head are a pair, numbered as in ggml."""

    NORMAL = 0  # 2i and 2i + 1
    NEOX = 2  # i and i + dimensions / 2


@dataclass(frozen=True, slots=True)
class Rope:
    """The rotation of one model: without scaled frequencies, and of whole heads."""

    style: RopeStyle
    dimensions: int
    """Elements of a head; even."""
    scale: np.float32
    """What an angle is multiplied by to give the next; `angle_scale` makes it."""

    def __post_init__(self) -> None:
        if self.dimensions < 2 or self.dimensions % 2:
            raise ShapesDiffer("a head that has no pairs", expected="even", got=self.dimensions)

    def pairs(self, heads: npt.NDArray[np.floating]) -> tuple[Doubles, Doubles]:
        """The first and second elements of all pairs: (…, dimensions / 2) each."""
        wide = heads.astype(np.float64)
        if self.style is RopeStyle.NORMAL:
            return wide[..., 0::2], wide[..., 1::2]
        half = self.dimensions // 2
        return wide[..., :half], wide[..., half:]


def angle_scale(frequency_base: np.float32, dimensions: int) -> np.float32:
    """The single nearest to frequency_base to the power of -2 / dimensions, the exponent itself
    rounded to a single: what a good `powf` gives."""
    context = Context(prec=60)
    exponent = Decimal(float(np.float32(-2) / np.float32(dimensions)))
    power = context.exp(context.multiply(context.ln(Decimal(float(frequency_base))), exponent))
    fixed = int(context.multiply(power, Decimal(2) ** 120))
    return np.uint32(pack((fixed, -120))).view(np.float32)


@lru_cache(maxsize=4096)
def angles(rope: Rope, position: int) -> tuple[Doubles, Doubles]:
    """Cosines and sines of a position's angles: (dimensions / 2,) each.

    Raises:
        ShapesDiffer: for a position that is no exact single.
    """
    if not 0 <= position < _MOST_POSITIONS:
        raise ShapesDiffer("a position", expected=f"0 to {_MOST_POSITIONS - 1}", got=position)
    theta, cosines, sines = np.float32(position), [], []
    for _ in range(rope.dimensions // 2):
        cosine, sine = cosine_and_sine(int(theta.view(np.uint32)))
        cosines.append(cosine * 2.0**-62)
        sines.append(sine * 2.0**-62)
        theta = theta * rope.scale
    return np.array(cosines), np.array(sines)


def cosine_and_sine(theta: int) -> tuple[int, int]:
    """Of a single that is not negative, given as bits: integers, in units of 2^-62.

    The angle in quarter turns is a product of integers; what is left of it after the nearest
    quarter, at most an eighth of a turn, goes through the Taylor series.
    """
    m, e = take_apart(theta)
    turned = m * _TWO_OVER_PI >> 36 - e  # quarter turns, in units of 2^-64
    quarter = turned + (1 << 63) >> 64
    r = (turned - (quarter << 64)) * _HALF_PI >> 64
    square = r * r >> 62
    cosine = sine = 0
    for n in range(20, 0, -2):
        cosine = -((_ONE + cosine) * square >> 62) // (n * (n - 1))
        sine = -((_ONE + sine) * square >> 62) // (n * (n + 1))
    cosine += _ONE
    sine = r * (_ONE + sine) >> 62
    return [(cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine)][quarter & 3]


def deviation(rope: Rope, position: int, heads: Singles, rotated: Singles) -> float:
    """The largest deviation of `rotated` from the rotation of `heads`, (…, dimensions) both, in
    parts of A; infinite where A is 0 and the deviation is not.

    Raises:
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    if heads.shape != rotated.shape or heads.shape[-1] != rope.dimensions:
        raise ShapesDiffer("a head", expected=(heads.shape, rope.dimensions), got=rotated.shape)
    require_normal("a head", heads, rotated)
    cosine, sine = angles(rope, position)
    first, second = rope.pairs(heads)
    got_first, got_second = rope.pairs(rotated)
    worst = 0.0
    for left, right, got in (
        (first * cosine, -(second * sine), got_first),
        (first * sine, second * cosine, got_second),
    ):
        room, off = np.abs(left) + np.abs(right), np.abs(got - (left + right))
        parts = off / np.where(room > 0, room, 1.0)
        parts = np.where((room == 0) & (off > 0), np.inf, parts)
        worst = max(worst, float(parts.max()))
    return worst


def require_rotated(rope: Rope, position: int, heads: Singles, rotated: Singles) -> None:
    """
    Raises:
        CellRejected: when it deviates by more than `ROPE_BOUND`.
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    off = deviation(rope, position, heads, rotated)
    if off > ROPE_BOUND:
        raise CellRejected(
            "a head is not rotated by its position", expected=f"at most {ROPE_BOUND:.3e}", got=off
        )
