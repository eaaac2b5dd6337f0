"""Opened leaves of a trace: their bytes, and the paths that lead to the root.

For a guest, `verify` is: length and digest of each leaf, the root of the node from them and its
path, the root of the top from that, the root of the trace.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..digests import TraceRoot
from .errors import OpeningRejected, TraceShapeInvalid
from .layout import TraceLayout, leaf_digest
from .merkle import root_of_run
from .nodes import Node


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring leaves: pieces of one row, or channels of the V cache (position 0)."""

    node: Node
    layer: int
    position: int
    first_piece: int
    pieces: int

    @classmethod
    def row(cls, layout: TraceLayout, node: Node, layer: int, position: int) -> Run:
        """The whole row of a node at a position."""
        return cls(node, layer, position, 0, layout.pieces(node))

    @classmethod
    def element(
        cls, layout: TraceLayout, node: Node, layer: int, position: int, element: int
    ) -> Run:
        """The leaf that holds one element of a row that is not causal."""
        return cls(node, layer, position, element // layout.piece_values(node), 1)

    @classmethod
    def head(cls, node: Node, layer: int, position: int, head: int) -> Run:
        """One head of a row of rotated Q or K, or of attention."""
        return cls(node, layer, position, head, 1)

    @classmethod
    def channel(cls, layer: int, channel: int) -> Run:
        """One channel of the V cache, at all positions."""
        return cls(Node.V_CACHE, layer, 0, channel, 1)

    def first_leaf(self, layout: TraceLayout) -> int:
        """Its place in the node's tree."""
        return self.position * layout.pieces(self.node) + self.first_piece

    def require_inside(self, layout: TraceLayout) -> None:
        """Raises:
        TraceShapeInvalid: when the trace has no such leaves.
        """
        layout.index(self.node, self.layer)
        if self.pieces < 1:
            raise TraceShapeInvalid("a run of no leaves")
        for piece in (self.first_piece, self.first_piece + self.pieces - 1):
            layout.leaf_bytes(self.node, self.position, piece)


@dataclass(frozen=True, slots=True)
class Opening:
    """A run with its bytes, and the digests beside it."""

    run: Run
    leaves: tuple[bytes, ...]
    """The bytes of each leaf."""
    node_path: tuple[bytes, ...]
    """In the tree of the node (`merkle.run_path`)."""
    top_path: tuple[bytes, ...]
    """In the tree over the nodes."""

    @property
    def data(self) -> bytes:
        """The bytes of all leaves, one after another."""
        return b"".join(self.leaves)

    def verify(self, layout: TraceLayout, root: TraceRoot) -> None:
        """Raises:
        OpeningRejected: when these are not the bytes that the root commits to.
        TraceShapeInvalid: when the trace has no such leaves.
        """
        run = self.run
        run.require_inside(layout)
        if len(self.leaves) != run.pieces:
            raise OpeningRejected(
                "opened leaves are missing", expected=run.pieces, got=len(self.leaves)
            )
        index = layout.index(run.node, run.layer)
        digests = []
        for piece, data in enumerate(self.leaves, run.first_piece):
            size = layout.leaf_bytes(run.node, run.position, piece)
            if len(data) != size:
                raise OpeningRejected(
                    "an opened leaf of a wrong length", expected=f"{size} bytes", got=len(data)
                )
            digests.append(leaf_digest(index, run.position, piece, data))
        node_root = root_of_run(
            digests, run.first_leaf(layout), layout.leaves(run.node), self.node_path
        )
        found = layout.root(root_of_run([node_root], index, layout.node_count, self.top_path))
        if found != root:
            raise OpeningRejected("an opened row is not of this trace", expected=root, got=found)
