"""Rows of weights as they lie in a GGUF file, taken apart.

A block, all integers little-endian, halves as bits:

    Q8_0   32 values, 34 bytes: d, 32 int8                         value  d * q
    Q4_0   32 values, 18 bytes: d, 16 bytes of two nibbles         value  d * (q - 8)
    Q4_1   32 values, 20 bytes: d, m, 16 bytes of two nibbles      value  d * q + m
    Q4_K  256 values, 144 bytes: d, dmin, 12 bytes, 128 bytes      value  d * scale * q - dmin * min
    Q6_K  256 values, 210 bytes: 128, 64 and 16 bytes, d           value  d * scale * (q - 32)

Of a byte with two nibbles, the lower belongs to the first half of the block (Q4_K: of 64 values).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from .errors import TypeNotSupported
from .quantise import BLOCK, SUPER_BLOCK, Integers
from .rounding import Doubles, require_length, require_normal

Bytes = npt.NDArray[np.uint8]


class WeightType(IntEnum):
    """Tensor types with reference arithmetic, numbered as in GGUF files."""

    Q4_0 = 2
    Q4_1 = 3
    Q8_0 = 8
    Q4_K = 12
    Q6_K = 14

    @property
    def block_values(self) -> int:
        return SUPER_BLOCK if self in (WeightType.Q4_K, WeightType.Q6_K) else BLOCK

    @property
    def block_bytes(self) -> int:
        return {2: 18, 3: 20, 8: 34, 12: 144, 14: 210}[int(self)]

    @classmethod
    def of(cls, number: int) -> WeightType:
        """
        Raises:
            TypeNotSupported: for a type without reference arithmetic.
        """
        try:
            return cls(number)
        except ValueError:
            names = ", ".join(one.name for one in cls)
            raise TypeNotSupported(
                "no reference arithmetic for this tensor type", expected=names, got=number
            ) from None


@dataclass(frozen=True, slots=True)
class WeightRows:
    """Rows of one tensor, all numbers exact. `groups` is 1 for blocks of 32, 8 for Q4_K, 16 for
    Q6_K; a group shares an integer scale."""

    type: WeightType
    d: Doubles
    """(rows, blocks)."""
    q: Integers
    """(rows, blocks, values of a block); Q4_0 with 8 taken off, Q6_K as it lies, 0 to 63."""
    scales: Integers
    """(rows, blocks, groups); ones for blocks of 32."""
    m: Doubles
    """(rows, blocks): m of Q4_1, dmin of Q4_K; else of no blocks."""
    minima: Integers
    """(rows, blocks, 8) of Q4_K; else of no blocks."""

    def __len__(self) -> int:
        return len(self.d)

    def take(self, rows: slice | npt.NDArray[np.integer]) -> WeightRows:
        """Some of the rows, in that order."""
        return WeightRows(
            self.type,
            self.d[rows],
            self.q[rows],
            self.scales[rows],
            self.m[rows],
            self.minima[rows],
        )


def weight_rows(kind: WeightType, data: bytes | Bytes, values: int) -> WeightRows:
    """Rows of `values` values each, one after another.

    Raises:
        ShapesDiffer: when `data` is not a number of rows.
        NotFinite: for a scale that is an infinity or a NaN.
    """
    flat = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data.reshape(-1)
    require_length("a weight row", values % kind.block_values, 0)
    blocks = values // kind.block_values
    require_length("weight rows", len(flat) % (blocks * kind.block_bytes), 0)
    raw = flat.reshape(-1, blocks, kind.block_bytes)
    return _PARSERS[kind](raw)


def _half(raw: Bytes, place: int) -> Doubles:
    bits = np.ascontiguousarray(raw[..., place : place + 2]).view("<u2")[..., 0]
    wide: Doubles = bits.astype(np.uint16).view(np.float16).astype(np.float64)
    require_normal("a scale", wide)
    return wide


def _nibbles(packed: Bytes) -> Integers:
    """(…, n) bytes to (…, 2n): lower nibbles, then upper ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.int32)


def _simple(kind: WeightType, d: Doubles, q: Integers, m: Doubles | None = None) -> WeightRows:
    rows, blocks = d.shape
    return WeightRows(
        kind,
        d,
        q,
        np.ones((rows, blocks, 1), np.int32),
        np.zeros((rows, 0)) if m is None else m,
        np.zeros((rows, 0, 8), np.int32),
    )


def _q4_0(raw: Bytes) -> WeightRows:
    return _simple(WeightType.Q4_0, _half(raw, 0), _nibbles(raw[..., 2:]) - 8)


def _q4_1(raw: Bytes) -> WeightRows:
    return _simple(WeightType.Q4_1, _half(raw, 0), _nibbles(raw[..., 4:]), _half(raw, 2))


def _q8_0(raw: Bytes) -> WeightRows:
    q = np.ascontiguousarray(raw[..., 2:]).view(np.int8).astype(np.int32)
    return _simple(WeightType.Q8_0, _half(raw, 0), q)


def _q4_k(raw: Bytes) -> WeightRows:
    packed = raw[..., 4:16].astype(np.int32)
    low, middle, high = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    scales = np.concatenate([low & 63, (high & 15) | (low >> 6) << 4], axis=-1)
    minima = np.concatenate([middle & 63, high >> 4 | (middle >> 6) << 4], axis=-1)
    q = _nibbles(raw[..., 16:].reshape(*raw.shape[:2], 4, 32)).reshape(*raw.shape[:2], 256)
    return WeightRows(WeightType.Q4_K, _half(raw, 0), q, scales, _half(raw, 2), minima)


def _q6_k(raw: Bytes) -> WeightRows:
    shape = raw.shape[:2]
    low = raw[..., :128].reshape(*shape, 2, 64)
    high = raw[..., 128:192].reshape(*shape, 2, 32)
    # 128 values of each half: four runs of 32.
    fours = _nibbles(low).reshape(*shape, 2, 4, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    twos = (high[..., None, :] >> shifts & 3).astype(np.int32)
    q = (fours | twos << 4).reshape(*shape, 256)
    scales = np.ascontiguousarray(raw[..., 192:208]).view(np.int8).astype(np.int32)
    return WeightRows(
        WeightType.Q6_K,
        _half(raw, 208),
        q,
        scales,
        np.zeros((len(raw), 0)),
        np.zeros((len(raw), 0, 8), np.int32),
    )


_PARSERS = {
    WeightType.Q4_0: _q4_0,
    WeightType.Q4_1: _q4_1,
    WeightType.Q8_0: _q8_0,
    WeightType.Q4_K: _q4_k,
    WeightType.Q6_K: _q6_k,
}
