"""The root of a transcript's trace, and opened rows of it.

The trace is never held. While it is computed each row becomes a leaf digest, and of each node's
tree only what is needed to go on is kept: one digest a level. To open rows the transcript is run
again; then the digests of nodes with wanted rows are kept too (32 bytes a leaf), for their paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...protocol.digests import TraceRoot
from ...protocol.trace.layout import F32_BYTES, TraceLayout
from ...protocol.trace.merkle import Frontier, merkle_root, run_path
from ...protocol.trace.nodes import Node
from ...protocol.trace.opening import Opening, Run
from ...protocol.trace.settings import TraceSettings
from ..model import Model
from .capture import NodeRows, Sink, capture
from .errors import TraceNotRepeated
from .leaves import CacheColumns, attention_digests, row_digests
from .supported import traceable_shape


@dataclass(frozen=True, slots=True)
class Trace:
    """The commitment to what a model computed for a transcript."""

    root: TraceRoot
    layout: TraceLayout
    settings: TraceSettings


Watch = Callable[[], None]
"""Called with each node's rows; what it raises ends the run."""


def trace(
    model: Model, tokens: Sequence[int], settings: TraceSettings, watch: Watch | None = None
) -> Trace:
    """Runs `tokens` and commits to every row.

    Raises: as `capture.capture`.
    """
    layout = layout_of(model, tokens)
    forest = TraceForest(layout)
    capture(model, tokens, settings, _watched(forest, watch))
    return Trace(forest.root(), layout, settings)


def open_cells(
    model: Model,
    tokens: Sequence[int],
    settings: TraceSettings,
    wanted: Iterable[Run],
    root: TraceRoot,
    watch: Watch | None = None,
) -> tuple[Opening, ...]:
    """Runs `tokens` again and opens the wanted rows, in their order; each is checked against
    `root`.

    Raises:
        TraceShapeInvalid: when the trace has no such rows; before anything is computed.
        TraceNotRepeated: when this run has another root.
        and as `capture.capture`.
    """
    layout = layout_of(model, tokens)
    runs = tuple(wanted)
    for run in runs:
        run.require_inside(layout)
    forest = TraceForest(layout, runs)
    capture(model, tokens, settings, _watched(forest, watch))
    found = forest.root()
    if found != root:
        raise TraceNotRepeated("the transcript gives another trace", expected=root, got=found)
    openings = tuple(forest.opening(run) for run in runs)
    for opening in openings:
        opening.verify(layout, root)
    return openings


def _watched(forest: TraceForest, watch: Watch | None) -> Sink:
    if watch is None:
        return forest.add

    def add(rows: NodeRows) -> None:
        watch()
        forest.add(rows)

    return add


def layout_of(model: Model, tokens: Sequence[int]) -> TraceLayout:
    """The places of the trace of `tokens`.

    Raises:
        ModelNotTraceable: see `supported.traceable_shape`.
        TraceShapeInvalid: for no tokens.
    """
    return TraceLayout(traceable_shape(model.header), len(tokens))


class TraceForest:
    """The trees of all nodes while rows come, in the order in which `capture` gives them."""

    def __init__(self, layout: TraceLayout, wanted: Iterable[Run] = ()) -> None:
        self._layout = layout
        self._frontiers = [Frontier() for _ in range(layout.node_count)]
        self._wanted: dict[int, list[Run]] = {}
        for run in wanted:
            self._wanted.setdefault(layout.index(run.node, run.layer), []).append(run)
        self._kept: dict[int, list[bytes]] = {index: [] for index in self._wanted}
        self._data: dict[Run, tuple[bytes, ...]] = {}
        self._columns = []
        for layer in range(layout.shape.layers):
            index = layout.index(Node.V_CACHE, layer)
            channels = {
                run.first_piece + piece
                for run in self._wanted.get(index, ())
                for piece in range(run.pieces)
            }
            self._columns.append(CacheColumns(index, layout.pieces(Node.V_CACHE), channels))
        self._roots: list[bytes] = []

    def add(self, rows: NodeRows) -> None:
        """Takes a node's next rows."""
        node, layout = rows.node, self._layout
        index = layout.index(node, rows.layer)
        if node.causal:
            digests = attention_digests(index, rows.first_position, rows.values)
        else:
            digests = row_digests(layout, node, index, rows.first_position, rows.values)
        self._extend(index, digests)
        if node is Node.V:
            self._columns[rows.layer].extend(rows.values)
        for run in self._wanted.get(index, ()):
            if run.position in rows.positions:
                self._data[run] = self._leaves(run, rows)

    def root(self) -> TraceRoot:
        """The root of the trace; once all rows are in.

        Raises:
            TraceNotInOrder: when rows are missing.
        """
        if not self._roots:
            for layer, columns in enumerate(self._columns):
                self._extend(self._layout.index(Node.V_CACHE, layer), columns.digests())
            self._roots = [frontier.root() for frontier in self._frontiers]
        return self._layout.root(merkle_root(self._roots))

    def opening(self, run: Run) -> Opening:
        """A wanted run with its paths; after `root`."""
        index = self._layout.index(run.node, run.layer)
        if run.node is Node.V_CACHE:
            kept = self._columns[run.layer].kept
            pieces = range(run.first_piece, run.first_piece + run.pieces)
            data = tuple(bytes(kept[channel]) for channel in pieces)
        else:
            data = self._data[run]
        first = run.first_leaf(self._layout)
        return Opening(
            run,
            data,
            run_path(self._kept[index], first, run.pieces),
            run_path(self._roots, index, 1),
        )

    def _extend(self, index: int, digests: list[bytes]) -> None:
        self._frontiers[index].extend(digests)
        if index in self._kept:
            self._kept[index] += digests

    def _leaves(self, run: Run, rows: NodeRows) -> tuple[bytes, ...]:
        row = rows.row(run.position)
        pieces = range(run.first_piece, run.first_piece + run.pieces)
        if run.node.causal:
            return tuple(row[head].astype("<f4").tobytes() for head in pieces)
        data = row.astype("<f4").tobytes()
        size = F32_BYTES * self._layout.piece_values(run.node)
        return tuple(data[piece * size : (piece + 1) * size] for piece in pieces)
