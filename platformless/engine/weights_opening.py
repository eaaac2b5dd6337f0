"""Rows of a model file, opened under the root of its weights (`weights`)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from ..protocol.digests import WeightsRoot, tag_block
from ..protocol.sample.facts import WeightRow
from ..protocol.sample.witness import OpenedWeight
from ..protocol.trace.errors import TraceShapeInvalid
from .gguf_header import GgufHeader

_LEAF_TAG = tag_block("weights-row")
_NODE_TAG = tag_block("weights-node")


class WeightsTree:
    """All digests of the tree of one file: 64 bytes a row."""

    def __init__(
        self, path: Path, header: GgufHeader, watch: Callable[[], None] = lambda: None
    ) -> None:
        """Hashes every row of the file.

        Args:
            watch: Called before each row; what it raises ends the work.
        """
        self._path, self._tensors = path, header.tensors
        self._levels = [self._leaves(watch)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_parents(self._levels[-1]))

    @property
    def root(self) -> WeightsRoot:
        return WeightsRoot(self._levels[-1][0])

    def open(self, rows: Iterable[WeightRow]) -> tuple[OpenedWeight, ...]:
        """Rows with the digests beside them, from the lowest level up.

        Raises:
            TraceShapeInvalid: for a row that the file does not have.
        """
        with self._path.open("rb") as file:
            return tuple(self._opened(file, row) for row in rows)

    def _opened(self, file: BinaryIO, row: WeightRow) -> OpenedWeight:
        if not 0 <= row.tensor.index < len(self._tensors):
            raise TraceShapeInvalid("no such tensor", got=row.tensor.index)
        place = self._tensors[row.tensor.index]
        if not 0 <= row.row < place.rows:
            raise TraceShapeInvalid(
                f"no such row of {place.name}", expected=f"below {place.rows}", got=row.row
            )
        file.seek(place.offset + row.row * place.row_bytes)
        data = file.read(place.row_bytes)
        return OpenedWeight(row, data, self._path_of(row.leaf))

    def _path_of(self, leaf: int) -> tuple[bytes, ...]:
        path = []
        for level in self._levels[:-1]:
            beside = leaf ^ 1
            if beside < len(level):
                path.append(level[beside])
            leaf //= 2
        return tuple(path)

    def _leaves(self, watch: Callable[[], None]) -> list[bytes]:
        start, leaves = sha256(_LEAF_TAG), []
        with (
            self._path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            for index, place in enumerate(self._tensors):
                for row in range(place.rows):
                    watch()
                    at = place.offset + row * place.row_bytes
                    leaf = start.copy()
                    leaf.update(struct.pack("<II", index, row))
                    leaf.update(content[at : at + place.row_bytes])
                    leaves.append(leaf.digest())
        return leaves


def _parents(level: list[bytes]) -> list[bytes]:
    """Pairs meet; an odd last one goes up unchanged."""
    pairs = zip(level[::2], level[1::2], strict=False)
    met = [sha256(_NODE_TAG + left + right).digest() for left, right in pairs]
    return met + level[len(level) - len(level) % 2 :]
