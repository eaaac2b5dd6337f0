"""The digests of leaves, many at once, from the arrays that llama.cpp computes.

The inputs of a block of leaves are laid out in one buffer, so that little is done leaf by leaf but
the hash itself. `protocol.trace.layout.leaf_digest` says the same for one leaf.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from ...protocol.trace.layout import F16_BYTES, F32_BYTES, LEAF_HEAD, LEAF_TAG, TraceLayout
from ...protocol.trace.nodes import Node
from .tensor import Rows

_HEAD_BYTES = len(LEAF_TAG) + LEAF_HEAD.size
_BLOCK_BYTES = 1 << 18
"""Inputs that are prepared at once: they stay in the processor's cache."""


def row_digests(
    layout: TraceLayout, node: Node, index: int, first_position: int, values: Rows
) -> list[bytes]:
    """Of rows that are not causal, f32 [positions, values]: every position's pieces in order."""
    width, size = values.shape[1], layout.piece_values(node)
    whole, rest = divmod(width, size)
    lines = max(1, _BLOCK_BYTES // (F32_BYTES * width))
    digests: list[bytes] = []
    for start in range(0, len(values), lines):
        rows = values[start : start + lines]
        places = np.arange(first_position + start, first_position + start + len(rows))
        pieces = _hash(
            index,
            np.repeat(places, whole),
            np.tile(np.arange(whole), len(rows)),
            rows[:, : whole * size].reshape(len(rows) * whole, size),
        )
        if rest:
            last = _hash(index, places, np.full(len(rows), whole), rows[:, whole * size :])
            for row, digest in enumerate(last):
                digests += [*pieces[row * whole : (row + 1) * whole], digest]
        else:
            digests += pieces
    return digests


def attention_digests(index: int, first_position: int, values: Rows) -> list[bytes]:
    """Of causal rows, f32 [positions, heads, cells]: every position's heads in order."""
    heads = np.arange(values.shape[1])
    digests: list[bytes] = []
    for position, row in enumerate(values, first_position):
        places = np.full(len(heads), position)
        digests += _hash(index, places, heads, row[:, : position + 1])
    return digests


class CacheColumns:
    """The V cache of one layer, hashed channel by channel while positions come."""

    def __init__(self, index: int, channels: int, kept: set[int]) -> None:
        self._hashes = [
            sha256(LEAF_TAG + LEAF_HEAD.pack(index, 0, channel)) for channel in range(channels)
        ]
        self.kept = {channel: bytearray() for channel in kept}
        """The bytes of channels that are to be opened."""

    def extend(self, values: Rows) -> None:
        """Adds the values of the next positions, f32 [positions, channels]."""
        columns = cache_values(values)
        count = F16_BYTES * len(values)
        with memoryview(columns.tobytes()) as data:
            for channel, hashed in enumerate(self._hashes):
                hashed.update(data[channel * count : (channel + 1) * count])
            for channel, column in self.kept.items():
                column += data[channel * count : (channel + 1) * count]

    def digests(self) -> list[bytes]:
        return [hashed.digest() for hashed in self._hashes]


def cache_values(values: Rows) -> npt.NDArray[np.float16]:
    """V as the cache holds it, f16 [channels, positions]: rounded to nearest, ties to even."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values.T.astype("<f2"))


def _hash(
    index: int, positions: npt.NDArray[Any], pieces: npt.NDArray[Any], values: Rows
) -> list[bytes]:
    """One leaf a row of `values`."""
    count, size = values.shape
    inputs = np.empty((count, _HEAD_BYTES + F32_BYTES * size), np.uint8)
    inputs[:, : len(LEAF_TAG)] = np.frombuffer(LEAF_TAG, np.uint8)
    head = np.empty((count, 3), "<u4")
    head[:, 0], head[:, 1], head[:, 2] = index, positions, pieces
    inputs[:, len(LEAF_TAG) : _HEAD_BYTES] = head.view(np.uint8)
    inputs[:, _HEAD_BYTES:] = np.ascontiguousarray(values, "<f4").view(np.uint8)
    return [sha256(line).digest() for line in inputs]
