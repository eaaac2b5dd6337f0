"""Merkle trees that grow leaf by leaf, and paths of runs of neighbouring leaves.

Two digests meet as tagged_sha256("trace-node", left + right). Where a level has an odd number of
digests, the last one goes up unchanged. This is the shape of RFC 6962, section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ..digests import tag_block
from .errors import OpeningRejected, TraceNotInOrder, TraceShapeInvalid

NODE_TAG = tag_block("trace-node")


class Frontier:
    """The root of a tree that is given its leaves in order; holds one digest a level."""

    def __init__(self) -> None:
        self._levels: list[bytes | None] = []
        self.leaves = 0

    def extend(self, digests: Sequence[bytes]) -> None:
        """Adds the next leaves."""
        self.leaves += len(digests)
        level, at = list(digests), 0
        while level:
            if at == len(self._levels):
                self._levels.append(None)
            waiting = self._levels[at]
            if waiting is not None:
                level.insert(0, waiting)
            self._levels[at] = level.pop() if len(level) % 2 else None
            level = _parents(level)
            at += 1

    def root(self) -> bytes:
        """Raises:
        TraceNotInOrder: for a tree without leaves.
        """
        root: bytes | None = None
        for waiting in self._levels:
            if waiting is not None:
                root = waiting if root is None else sha256(NODE_TAG + waiting + root).digest()
        if root is None:
            raise TraceNotInOrder("a tree without leaves")
        return root


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over one or more digests."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def run_path(leaves: Sequence[bytes], first: int, count: int) -> tuple[bytes, ...]:
    """The digests that are needed besides leaves `first` to `first + count - 1` to compute the
    root: from the lowest level up, on each level the left neighbour before the right one."""
    _require_run(len(leaves), first, count)
    path = []
    level, start, end = list(leaves), first, first + count
    while len(level) > 1:
        if start % 2:
            path.append(level[start - 1])
        if end % 2 and end < len(level):
            path.append(level[end])
        odd = [level.pop()] if len(level) % 2 else []
        level = _parents(level) + odd
        start, end = start // 2, (end + 1) // 2
    return tuple(path)


def root_of_run(run: Sequence[bytes], first: int, leaves: int, path: Sequence[bytes]) -> bytes:
    """The root of the tree of that many leaves in which `run` begins at leaf `first`.

    Raises:
        TraceShapeInvalid: when the run lies outside of the tree.
        OpeningRejected: when the path is longer or shorter than the run needs.
    """
    _require_run(leaves, first, len(run))
    left = list(path)
    level, start, size = list(run), first, leaves
    while size > 1:
        if start % 2:
            level.insert(0, _next(left))
            start -= 1
        end = start + len(level)
        if end % 2 and end < size:
            level.append(_next(left))
        odd = [level.pop()] if len(level) % 2 else []
        level = _parents(level) + odd
        start, size = start // 2, (size + 1) // 2
    if left:
        raise OpeningRejected("a path is too long", got=f"{len(left)} digests more")
    return level[0]


def _parents(level: list[bytes]) -> list[bytes]:
    """Of an even number of digests."""
    tag = NODE_TAG
    pairs = zip(level[::2], level[1::2], strict=True)
    return [sha256(tag + left + right).digest() for left, right in pairs]


def _next(path: list[bytes]) -> bytes:
    if not path:
        raise OpeningRejected("a path is too short")
    return path.pop(0)


def _require_run(leaves: int, first: int, count: int) -> None:
    if count < 1 or first < 0 or first + count > leaves:
        raise TraceShapeInvalid(
            "a run outside of its tree",
            expected=f"1 to {leaves} leaves from 0",
            got=f"{count} leaves from {first}",
        )
