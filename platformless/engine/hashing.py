"""The Merkle tree over the rows of a file, in pieces that several processes can share.

A piece is a run of 2^k leaves that begins at a multiple of 2^k, so its root is a node of the whole
tree: above it, pieces meet as leaves do. The last piece may be shorter; what is odd in it is odd
in the whole tree too.

Who is free takes the next number from a pipe that holds those of all pieces. This file is also
what a helper process runs, by its path and without site-packages: it must import light modules of
the standard library only, as a helper pays for them before its first row.

What the tree costs is a hash object a row, some 0.3 µs whatever the row's length. Little else is
done row by row: the kernel reads each block of rows to their places behind the tags (preadv).
"""

from __future__ import annotations

import marshal
import os
import struct
import sys
from bisect import bisect_right
from hashlib import sha256

TYPE_CHECKING = False  # as in `typing`, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DIGEST_BYTES = 32
PIECE_NUMBER = struct.Struct("<I")
ANSWER = struct.Struct("<I32s")
"""What a helper writes: a piece and its root."""

_FEWEST_ROWS = 1 << 10  # in a piece; what a helper takes in one go, a millisecond
_MOST_PIECES = 1 << 10  # their numbers fit the smallest pipe
_BLOCK_ROWS = 1 << 9  # hash inputs prepared at once: below IOV_MAX,
_BLOCK_BYTES = 1 << 18  # and within the processor's cache
_NUMBER_BYTES = 4

Place = tuple[int, int, int]
"""Of one tensor: bytes of a row, rows, offset in the file."""
Plan = tuple[bytes, bytes, int, list[Place]]
"""The tags of leaves and nodes, how many leaves a piece has, and the tensors in order."""


def piece_rows(rows: int) -> int:
    """A good size of pieces for a tree of that many leaves."""
    size = _FEWEST_ROWS
    while size * _MOST_PIECES < rows:
        size *= 2
    return size


def merkle_root(tag: bytes, level: bytes) -> bytes:
    """The root over one or more digests; an odd last one goes up unchanged."""
    while len(level) > DIGEST_BYTES:
        pairs = len(level) // (2 * DIGEST_BYTES)
        end = 2 * DIGEST_BYTES * pairs
        children = struct.unpack(f"{2 * DIGEST_BYTES}s" * pairs, level[:end])
        level = b"".join([sha256(tag + pair).digest() for pair in children]) + level[end:]
    return level


class Tree:
    """The tree of one file. Not for several threads at once."""

    def __init__(self, file: int, plan: Plan) -> None:
        self._file = file
        self._leaf_tag, self._node_tag, self._piece_rows, self._places = plan
        self._firsts = [0]
        for _, rows, _ in self._places:
            self._firsts.append(self._firsts[-1] + rows)
        self._rooms: dict[int, _Room] = {}

    @property
    def rows(self) -> int:
        return self._firsts[-1]

    @property
    def pieces(self) -> int:
        return -(-self.rows // self._piece_rows)

    def roots(self, numbers: int) -> Iterator[tuple[int, bytes]]:
        """Pieces and their roots, for as long as there are numbers in the pipe.

        Raises:
            OSError: when the file cannot be read, or ends too early.
        """
        while number := os.read(numbers, PIECE_NUMBER.size):
            (piece,) = PIECE_NUMBER.unpack(number)
            yield piece, self.piece_root(piece)

    def piece_root(self, piece: int) -> bytes:
        leaf = piece * self._piece_rows
        end = min(leaf + self._piece_rows, self.rows)
        leaves = []
        while leaf < end:
            tensor = bisect_right(self._firsts, leaf) - 1  # the last one: the others have no rows
            stop = min(end, self._firsts[tensor + 1])
            leaves += self._leaves(tensor, leaf - self._firsts[tensor], stop - self._firsts[tensor])
            leaf = stop
        return merkle_root(self._node_tag, b"".join(leaves))

    def root(self, roots: dict[int, bytes]) -> bytes:
        """The root of the file, from those of all pieces."""
        return merkle_root(self._node_tag, b"".join([roots[n] for n in range(self.pieces)]))

    def _leaves(self, tensor: int, first: int, end: int) -> list[bytes]:
        row_bytes, _, offset = self._places[tensor]
        room = self._rooms.get(row_bytes)
        if room is None:
            room = self._rooms[row_bytes] = _Room(self._leaf_tag, row_bytes)
        room.begin(tensor)
        leaves = []
        for row in range(first, end, room.lines):
            block = range(row, min(row + room.lines, end))
            leaves += room.digests(self._file, offset + row * row_bytes, block)
        return leaves


class _Room:
    """Room for the hash inputs of a block of rows; in each line the tag, two numbers, the row."""

    def __init__(self, tag: bytes, row_bytes: int) -> None:
        head = len(tag) + 2 * _NUMBER_BYTES
        self._size = head + row_bytes
        self.lines = max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // self._size))
        self._tensor_at, self._row_at = len(tag), len(tag) + _NUMBER_BYTES
        self._row_bytes = row_bytes
        self._buffer = bytearray(tag.ljust(self._size, b"\0") * self.lines)
        view = memoryview(self._buffer)
        self._inputs = [view[at : at + self._size] for at in range(0, len(view), self._size)]
        self._rows = [line[head:] for line in self._inputs]

    def begin(self, tensor: int) -> None:
        self._write_numbers(self._tensor_at, [tensor] * self.lines)

    def digests(self, file: int, offset: int, rows: range) -> list[bytes]:
        """Those of rows with these numbers, the first of which lies at `offset`."""
        count = len(rows)
        expected = count * self._row_bytes
        if os.preadv(file, self._rows[:count], offset) != expected:
            raise OSError("the file ends too early, or was not read whole")
        self._write_numbers(self._row_at, rows)
        return [sha256(line).digest() for line in self._inputs[:count]]

    def _write_numbers(self, at: int, numbers: Sequence[int]) -> None:
        """Into the first lines, one each; a column of bytes at a time."""
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        end = len(numbers) * self._size
        for byte in range(_NUMBER_BYTES):
            self._buffer[at + byte : end : self._size] = packed[byte::_NUMBER_BYTES]


def _help(file: int, numbers: int) -> None:
    """Reads a plan from standard input and writes answers, until there are no more pieces.

    When whoever started it is dead, the next answer cannot be written, and that ends it.
    """
    tree = Tree(file, marshal.load(sys.stdin.buffer))  # noqa: S302 - from our own process
    for piece, root in tree.roots(numbers):
        os.write(1, ANSWER.pack(piece, root))


if __name__ == "__main__":
    _help(int(sys.argv[1]), int(sys.argv[2]))
    os._exit(0)  # nothing is left to do: not even what an interpreter does at its end
