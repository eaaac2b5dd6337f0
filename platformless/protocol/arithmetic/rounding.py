"""Single precision to the bit: fused multiply-add, sums in a fixed order, halves.

numpy's `+ - * /` and conversions between float32 and float64 are IEEE 754 operations, rounded to
nearest, ties to even, so they are the same on every platform. Only the fused multiply-add is
missing; `fuse` makes it from doubles. Its proof: let p = a * b, exact in a double (24 + 24 bits),
t = p + c the real sum, s = t rounded to double. The points where rounding to single turns from one
neighbour to the next (midpoints of singles) are themselves doubles, and rounding to double is
monotone, so t and s are never on different sides of one. Hence, if s is no midpoint, rounding s to
single is rounding t. If s is a midpoint and t = s, it is the same tie. If s is a midpoint and
t != s, the error of the sum (exact, by Knuth's TwoSum) tells the side; s is moved by one double
towards it, which reaches no other midpoint.

Values are refused where a build could be set to flush them (denormals), or where nothing is
promised (infinities, NaN).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import Denormal, NotFinite, ShapesDiffer

Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]

SMALLEST_NORMAL = np.float32(2.0**-126)
# Of a double in the range of normal singles: the 29 bits that a single has not.
_LOWER_BITS = np.int64((1 << 29) - 1)
_MIDPOINT = np.int64(1 << 28)


def fuse(a: Singles, b: Singles, c: Singles) -> Singles:
    """a * b + c with one rounding, elementwise; denormal results are rounded as IEEE 754 has it."""
    return accumulate(a.astype(np.float64) * b.astype(np.float64), c)


def accumulate(product: Doubles, c: Singles) -> Singles:
    """product + c with one rounding to single; `product` must be exact in a double."""
    wide = c.astype(np.float64)
    total = product + wide
    doubtful = (total.view(np.int64) & _LOWER_BITS) == _MIDPOINT
    # Below the normal singles midpoints lie elsewhere: every sum there is looked at.
    doubtful |= np.abs(total) < SMALLEST_NORMAL
    if doubtful.any():
        total[doubtful] = _towards_the_sum(
            np.broadcast_to(product, total.shape)[doubtful],
            np.broadcast_to(wide, total.shape)[doubtful],
            total[doubtful],
        )
    return total.astype(np.float32)


def tree_sum(lanes: Singles) -> Singles:
    """The sum over the last axis, 4, 8 or 16 lanes: upper half onto the lower until one is left."""
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    summed: Singles = lanes[..., 0]
    return summed


def require_normal(what: str, *values: npt.NDArray[np.floating]) -> None:
    """Every value is zero or a normal number of single precision.

    Raises:
        NotFinite, Denormal: naming `what`.
    """
    for array in values:
        size = np.abs(array)
        if not (size < np.inf).all():
            raise NotFinite(f"{what} has an infinity or a NaN", expected="finite numbers")
        if ((size < SMALLEST_NORMAL) & (size > 0)).any():
            raise Denormal(f"{what} has a denormal number", expected="zero or at least 2^-126")


def to_half(values: Singles) -> Halves:
    """Rounded to half precision, ties to even; denormal halves are kept.

    Raises:
        NotFinite: for a value beyond the halves.
    """
    if not (np.abs(values) < 65520.0).all():
        raise NotFinite("a value does not fit half precision", expected="below 65520")
    halves: Halves = values.astype(np.float16)
    return halves


def require_length(what: str, got: int, expected: int) -> None:
    """
    Raises:
        ShapesDiffer: when they differ.
    """
    if got != expected:
        raise ShapesDiffer(f"{what} of a wrong length", expected=expected, got=got)


def _towards_the_sum(product: Doubles, c: Doubles, total: Doubles) -> Doubles:
    """`total`, moved by one double towards the real sum where that is another number."""
    back = total - product
    error = (product - (total - back)) + (c - back)
    away = np.signbit(error) == np.signbit(total)  # the real sum is larger in magnitude
    step = np.where(error == 0, 0, np.where(away, 1, -1)).astype(np.int64)
    # Rounded to odd: where `total` is odd already it stands for every real sum beside it.
    bits = total.view(np.int64)
    return np.where(bits & 1 == 0, bits + step, bits).view(np.float64)
