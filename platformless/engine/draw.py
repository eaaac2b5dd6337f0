"""The draw: which of the candidates a token is, as a function that anybody can recompute.

llama.cpp restricts the candidates and scales their logits (`sampling`); from there on everything
is exact. All integers are little-endian; the hash is the protocol's tagged SHA-256.

    draw(p)     first 8 bytes of tagged_sha256("draw", seed (32 bytes) + p (u64)), as a u64
    order       candidates by falling logit, equal logits by rising token id
    weight      floor(2^40 * exp(logit - largest logit)), with exp as `unit_weights` computes it
    choice      the first candidate whose running sum of weights exceeds
                floor(draw * sum of all weights / 2^64)

`exp` is computed with additions, multiplications and roundings of IEEE 754 doubles only, in a
fixed order and without fused operations, so that every platform gets the same bits.
"""

from __future__ import annotations

import struct
from math import factorial

import numpy as np
import numpy.typing as npt

from ..protocol.digests import Seed, tagged_sha256
from ..protocol.words import U64_MAX, in_range

WEIGHT_BITS = 40
DRAW_BITS = 64

# ln 2 in two parts: the first has 33 significant bits, so that its small multiples are exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_COEFFICIENTS = tuple(1.0 / factorial(n) for n in range(13, -1, -1))
_SMALLEST = -28.0  # exp of less is under 2^-40

Logits = npt.NDArray[np.float32]
TokenIds = npt.NDArray[np.int32]


def draw(seed: Seed, position: int) -> int:
    """The random number for the token at `position`, from 0 to 2^64 - 1."""
    in_range("position", position, U64_MAX)
    digest = tagged_sha256("draw", seed.value + struct.pack("<Q", position))
    return int.from_bytes(digest[:8], "little")


def unit_weights(logits: Logits) -> npt.NDArray[np.int64]:
    """floor(2^40 * exp(logit - largest)) of each logit.

    exp(x) = 2^k * P(x - k ln 2), k the integer nearest to x / ln 2, P the Taylor polynomial of
    degree 13 in Horner's form from the highest coefficient down.
    """
    wide = logits.astype(np.float64)
    x = np.maximum(wide - wide.max(), _SMALLEST)
    k = np.floor(x * _LOG2_E + 0.5)
    rest = (x - k * _LN2_HIGH) - k * _LN2_LOW
    value = np.full_like(rest, _COEFFICIENTS[0])
    for coefficient in _COEFFICIENTS[1:]:
        value = value * rest + coefficient
    scaled: npt.NDArray[np.float64] = np.ldexp(value, k.astype(np.int32) + WEIGHT_BITS)
    return np.floor(scaled).astype(np.int64)


def choose(ids: TokenIds, logits: Logits, number: int) -> int:
    """The token id that the draw `number` picks among candidates with these final logits."""
    wide = logits.astype(np.float64)
    heavy = wide - wide.max() >= _SMALLEST  # the others weigh nothing
    ids, logits = ids[heavy], logits[heavy]
    order = np.lexsort((ids, -logits))
    ids = ids[order]
    sums = np.cumsum(unit_weights(logits[order]))
    threshold = (number * int(sums[-1])) >> DRAW_BITS
    return int(ids[np.searchsorted(sums, threshold, side="right")])


def greedy(logits: Logits) -> int:
    """The token id of the largest logit, the lowest id among equals."""
    return int(np.argmax(logits))
