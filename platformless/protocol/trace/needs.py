"""Which rows are opened for a cell: the one it stands in, and those that it is recomputed from.

Together these are the links of the computation: every row that is an input here is the output of
another kind, up to the tokens of the transcript and the rows of the weights.
"""

from __future__ import annotations

from collections.abc import Callable

from .cells import Cell, SampledKind
from .layout import TraceLayout
from .nodes import Node
from .opening import Run


def needed_runs(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    """The leaves that are opened for a cell: its own first, then the inputs in the order of the
    table in docs/trace.md. Weights and tokens come from elsewhere.

    Raises:
        TraceShapeInvalid: when the trace has no such cell.
    """
    runs = _NEEDS[cell.kind](layout, cell)
    for run in runs:
        run.require_inside(layout)
    return runs


def _whole(layout: TraceLayout, node: Node, cell: Cell) -> Run:
    return Run.row(layout, node, cell.layer if node.in_layers else 0, cell.position)


def _element(layout: TraceLayout, node: Node, cell: Cell) -> Run:
    layer = cell.layer if node.in_layers else 0
    return Run.element(layout, node, layer, cell.position, cell.element)


def _stream(layout: TraceLayout, cell: Cell) -> Run:
    """The residual stream before a layer."""
    if cell.layer == 0:
        return Run.row(layout, Node.EMBEDDING, 0, cell.position)
    return Run.row(layout, Node.LAYER_OUT, cell.layer - 1, cell.position)


def _embedding(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (_whole(layout, Node.EMBEDDING, cell),)


def _attn_norm(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (_whole(layout, Node.ATTN_NORM, cell), _stream(layout, cell))


def _product(node: Node, source: Node) -> Callable[[TraceLayout, Cell], tuple[Run, ...]]:
    """An element of a product with a matrix of the model, and the whole input row."""
    return lambda layout, cell: (_element(layout, node, cell), _whole(layout, source, cell))


def _norm(node: Node, source: Node) -> Callable[[TraceLayout, Cell], tuple[Run, ...]]:
    return lambda layout, cell: (_whole(layout, node, cell), _whole(layout, source, cell))


def _rotation(node: Node, source: Node) -> Callable[[TraceLayout, Cell], tuple[Run, ...]]:
    """Both halves of a rotation are in one head."""
    return lambda layout, cell: (_element(layout, node, cell), _element(layout, source, cell))


def _cached(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (Run.channel(cell.layer, cell.element), _element(layout, Node.V, cell))


def _key_product(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    key_head = cell.element // layout.shape.heads_per_key
    return (
        Run.head(Node.KQ, cell.layer, cell.position, cell.element),
        Run.head(Node.Q_ROPE, cell.layer, cell.position, cell.element),
        Run.head(Node.K_ROPE, cell.layer, cell.key, key_head),
    )


def _softmax(_layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (
        Run.head(Node.SOFTMAX, cell.layer, cell.position, cell.element),
        Run.head(Node.KQ, cell.layer, cell.position, cell.element),
    )


def _value_product(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    head, place = divmod(cell.element, layout.shape.head_size)
    channel = head // layout.shape.heads_per_key * layout.shape.head_size + place
    return (
        _whole(layout, Node.KQV, cell),
        Run.head(Node.SOFTMAX, cell.layer, cell.position, head),
        Run.channel(cell.layer, channel),
    )


def _ffn_input(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (
        _whole(layout, Node.FFN_INPUT, cell),
        _element(layout, Node.ATTN_OUT, cell),
        _stream(layout, cell),
    )


def _swiglu(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (
        _whole(layout, Node.FFN_SWIGLU, cell),
        _element(layout, Node.FFN_GATE, cell),
        _element(layout, Node.FFN_UP, cell),
    )


def _layer_out(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (
        _whole(layout, Node.LAYER_OUT, cell),
        _element(layout, Node.FFN_OUT, cell),
        _whole(layout, Node.FFN_INPUT, cell),
    )


def _result_norm(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    last = Run.row(layout, Node.LAYER_OUT, layout.shape.layers - 1, cell.position)
    return (_whole(layout, Node.RESULT_NORM, cell), last)


def _choice(layout: TraceLayout, cell: Cell) -> tuple[Run, ...]:
    return (_whole(layout, Node.LOGITS, cell),)


_NEEDS: dict[SampledKind, Callable[[TraceLayout, Cell], tuple[Run, ...]]] = {
    SampledKind.EMBEDDING: _embedding,
    SampledKind.ATTN_NORM: _attn_norm,
    SampledKind.Q: _product(Node.Q, Node.ATTN_NORM),
    SampledKind.K: _product(Node.K, Node.ATTN_NORM),
    SampledKind.V: _product(Node.V, Node.ATTN_NORM),
    SampledKind.Q_ROPE: _rotation(Node.Q_ROPE, Node.Q),
    SampledKind.K_ROPE: _rotation(Node.K_ROPE, Node.K),
    SampledKind.V_CACHE: _cached,
    SampledKind.KQ: _key_product,
    SampledKind.SOFTMAX: _softmax,
    SampledKind.KQV: _value_product,
    SampledKind.ATTN_OUT: _product(Node.ATTN_OUT, Node.KQV),
    SampledKind.FFN_INPUT: _ffn_input,
    SampledKind.FFN_NORM: _norm(Node.FFN_NORM, Node.FFN_INPUT),
    SampledKind.FFN_GATE: _product(Node.FFN_GATE, Node.FFN_NORM),
    SampledKind.FFN_UP: _product(Node.FFN_UP, Node.FFN_NORM),
    SampledKind.FFN_SWIGLU: _swiglu,
    SampledKind.FFN_OUT: _product(Node.FFN_OUT, Node.FFN_SWIGLU),
    SampledKind.LAYER_OUT: _layer_out,
    SampledKind.RESULT_NORM: _result_norm,
    SampledKind.LOGITS: _product(Node.LOGITS, Node.RESULT_NORM),
    SampledKind.CHOICE: _choice,
}
