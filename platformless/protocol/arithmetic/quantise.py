"""Rows of activations as ggml quantises them before a product with quantised weights.

All of it in singles, in the order of ggml's x86 code (AVX):

    amax    largest magnitude of the block
    d       amax / 127, kept as a half
    q       x * (127 / amax), rounded to an integer, ties to even
    s       Q8_1 only: the single d times the sum of all q, kept as a half

Q8_K has blocks of 256 and is ggml's portable code: the value of the largest magnitude (the first,
where several have it) goes to -127, and d stays a single.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .rounding import Doubles, Singles, require_length, require_normal, to_half

BLOCK = 32
SUPER_BLOCK = 256
LANES = 8
_FULL = np.float32(127)
_TO_INTEGER = np.float32(12582912)  # 1.5 * 2^23: adding it leaves the integer in the last bits
Integers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Quantised:
    """Rows of blocks. All numbers are exact in the types that hold them."""

    d: Doubles
    """(rows, blocks)."""
    q: Integers
    """(rows, blocks, values of a block)."""
    s: Doubles
    """Q8_1: (rows, blocks). Q8_0 and Q8_K: of no blocks."""

    def take(self, rows: slice | npt.NDArray[np.integer]) -> Quantised:
        """Some of the rows, in that order."""
        return Quantised(self.d[rows], self.q[rows], self.s[rows])


def q8_0(rows: Singles) -> Quantised:
    """Rows (rows, values), a multiple of 32 values, in Q8_0.

    Raises:
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    d, q = _blocks(rows)
    return Quantised(to_half(d).astype(np.float64), q, np.zeros((len(rows), 0)))


def q8_1(rows: Singles) -> Quantised:
    """Rows (rows, values), a multiple of 32 values, in Q8_1.

    Raises:
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    d, q = _blocks(rows)
    s = to_half(d * q.sum(axis=-1).astype(np.float32))
    return Quantised(to_half(d).astype(np.float64), q, s.astype(np.float64))


def q8_k(rows: Singles) -> Quantised:
    """Rows (rows, values), a multiple of 256 values, in Q8_K.

    Raises:
        ShapesDiffer, NotFinite, Denormal: for such rows.
    """
    x = _split(rows, SUPER_BLOCK)
    size = np.abs(x)
    first = size.argmax(axis=-1)[..., None]
    peak = np.take_along_axis(x, first, axis=-1)
    empty = peak == 0
    scale = np.where(empty, np.float32(0), -_FULL / np.where(empty, np.float32(1), peak))
    require_normal("a scale", scale)
    q = np.minimum(_integers(scale * x), 127)
    with_scale = np.where(empty, np.float32(1), scale)
    d = np.where(empty, np.float32(0), np.float32(1) / with_scale)[..., 0]
    require_normal("a scale", d)
    return Quantised(d.astype(np.float64), q, np.zeros((len(rows), 0)))


def _blocks(rows: Singles) -> tuple[Singles, Integers]:
    x = _split(rows, BLOCK)
    amax = np.abs(x).max(axis=-1)
    d = amax / _FULL
    empty = amax == 0
    inverse = np.where(empty, np.float32(0), _FULL / np.where(empty, np.float32(1), amax))
    require_normal("a scale", d, inverse)
    return d, np.rint(x * inverse[..., None]).astype(np.int32)


def _split(rows: Singles, block: int) -> Singles:
    require_normal("an activation row", rows)
    require_length("an activation row", rows.shape[-1] % block, 0)
    return rows.reshape(len(rows), -1, block)


def _integers(values: Singles) -> Integers:
    """Rounded as ggml's `nearest_int` does, which is to nearest, ties to even."""
    shifted = values + _TO_INTEGER
    return ((shifted.view(np.int32) & 0x007FFFFF) - 0x00400000).astype(np.int32)
