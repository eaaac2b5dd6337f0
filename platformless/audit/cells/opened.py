"""The rows that were opened for a cell, as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...protocol.arithmetic.rounding import Halves, Singles
from ...protocol.digests import TraceRoot
from ...protocol.trace.cells import Cell
from ...protocol.trace.layout import TraceLayout
from ...protocol.trace.nodes import Node
from ...protocol.trace.opening import Opening, Run
from .errors import RowNotOpened, place


def verified_rows(
    layout: TraceLayout, root: TraceRoot, openings: Iterable[Opening]
) -> dict[Run, bytes]:
    """The bytes of openings that belong to `root`, by run.

    Raises:
        OpeningRejected: when one does not.
        TraceShapeInvalid: when the trace has no such leaves.
    """
    rows = {}
    for opening in openings:
        opening.verify(layout, root)
        rows[opening.run] = opening.data
    return rows


@dataclass(frozen=True, slots=True)
class OpenedRows:
    """What is opened, seen from one cell: its layer and position unless others are named.

    Every method raises `RowNotOpened` when the leaves are not there.
    """

    layout: TraceLayout
    cell: Cell
    rows: Mapping[Run, bytes]
    """Bytes of runs, from `verified_rows`; those of `protocol.trace.needs.needed_runs`."""

    def row(self, node: Node, layer: int | None = None) -> Singles:
        """A whole row: [1, values]."""
        where = self._layer(node) if layer is None else layer
        run = Run.row(self.layout, node, where, self.cell.position)
        return self._singles(run)[None]

    def stream(self) -> Singles:
        """The residual stream before the cell's layer: [1, values]."""
        if self.cell.layer == 0:
            return self.row(Node.EMBEDDING, 0)
        return self.row(Node.LAYER_OUT, self.cell.layer - 1)

    def element(self, node: Node) -> np.float32:
        """The value that `node` has where the cell's own node has it."""
        at = self.cell.element
        run = Run.element(self.layout, node, self._layer(node), self.cell.position, at)
        return np.float32(self._singles(run)[at % self.layout.piece_values(node)])

    def head(self, node: Node, head: int, position: int | None = None) -> Singles:
        """One head of rotated Q or K, or of attention: [1, values]."""
        where = self.cell.position if position is None else position
        return self._singles(Run.head(node, self.cell.layer, where, head))[None]

    def head_of(self, node: Node) -> Singles:
        """The head of Q or K, before or after rotation, in which the cell stands: [1, values]."""
        size = self.layout.shape.head_size
        first = self.cell.element // size * size
        run = Run.element(
            self.layout, node, self._layer(node), self.cell.position, self.cell.element
        )
        start = first % self.layout.piece_values(node)
        return self._singles(run)[None, start : start + size]

    def channel(self, channel: int) -> Halves:
        """One channel of the V cache: [positions]."""
        found: Halves = np.frombuffer(self._data(Run.channel(self.cell.layer, channel)), "<f2")
        return found

    def _layer(self, node: Node) -> int:
        return self.cell.layer if node.in_layers else 0

    def _singles(self, run: Run) -> Singles:
        found: Singles = np.frombuffer(self._data(run), "<f4")
        return found

    def _data(self, run: Run) -> bytes:
        data = self.rows.get(run)
        if data is None:
            raise RowNotOpened(f"a row is missing for {place(self.cell)}", expected=run)
        return data
