"""One cell of a trace, recomputed from what was opened for it and from the model's weights.

By the reference arithmetic (docs/arithmetic.md), which is also what the guest follows. Bit for
bit, but for rotations, which have a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...protocol.arithmetic import attention, glue
from ...protocol.arithmetic.errors import ArithmeticRefused
from ...protocol.arithmetic.operations import ROPE_BOUND, Reference
from ...protocol.arithmetic.products import cells, quantise_for
from ...protocol.arithmetic.rounding import require_normal
from ...protocol.trace.cells import Cell, SampledKind
from ...protocol.trace.layout import TraceLayout
from ...protocol.trace.nodes import Node
from ...protocol.trace.opening import Run
from .errors import CellDeviates, CellUnusable, TokenMissing, place
from .opened import OpenedRows
from .rotation import rotated_pair
from .weights import TOKEN_TABLE, Weights

Value = np.float32 | np.float16


@dataclass(frozen=True, slots=True)
class Source:
    """What all cells of a trace are checked with."""

    layout: TraceLayout
    tokens: Sequence[int]
    """The transcript, as the model saw it."""
    weights: Weights
    reference: Reference


def check_cell(source: Source, cell: Cell, rows: Mapping[Run, bytes]) -> None:
    """Accepts a cell, or raises what is wrong with it.

    Args:
        rows: by run, verified against the trace root (`opened.verified_rows`); at least those of
            `protocol.trace.needs.needed_runs`.

    A cell of kind CHOICE is held against the greedy choice: draw such cells only where the
    transcript says that tokens were chosen greedily, and were decoded with a prompt's arithmetic.

    Raises:
        CellDeviates: when the committed element is another.
        CellUnusable: when opened values are infinite, NaN, denormal or too large for a half.
        RowNotOpened, TokenMissing, ForeignWeights: when something to check with is missing.
    """
    case = _Case(source, cell, OpenedRows(source.layout, cell, rows))
    try:
        _CHECKS[cell.kind](case)
    except ArithmeticRefused as error:
        raise CellUnusable(f"{place(cell)} has values that no honest run has", got=error) from error


@dataclass(frozen=True, slots=True)
class _Case:
    source: Source
    cell: Cell
    opened: OpenedRows

    def require(self, expected: Value, got: Value) -> None:
        """Raises `CellDeviates` unless both are the same bits."""
        wanted, found = _bits(expected), _bits(got)
        if wanted != found:
            raise CellDeviates(self.cell, wanted, found)

    def tensor(self, name: str) -> str:
        return f"blk.{self.cell.layer}.{name}"

    def token(self, position: int) -> int:
        tokens, size = self.source.tokens, self.source.layout.shape.vocabulary
        if not position < len(tokens) or not 0 <= tokens[position] < size:
            raise TokenMissing(
                f"no token at position {position} of the transcript",
                expected=f"one of {size}",
                got=f"{len(tokens)} tokens",
            )
        return tokens[position]


_Check = Callable[[_Case], None]


def _embedding(case: _Case) -> None:
    token = case.token(case.cell.position)
    width = case.source.layout.shape.embedding
    row = glue.embeddings(case.source.weights.row(TOKEN_TABLE, token, width))
    case.require(row[0, case.cell.element], case.opened.element(Node.EMBEDDING))


def _norm(case: _Case, node: Node, source: npt.NDArray[np.float32], tensor: str) -> None:
    weights = case.source.weights
    vector = weights.vector(tensor, source.shape[1])
    row = glue.norm(source, vector, weights.numbers.epsilon)
    case.require(row[0, case.cell.element], case.opened.element(node))


def _result_norm(case: _Case) -> None:
    last = case.opened.row(Node.LAYER_OUT, case.source.layout.shape.layers - 1)
    _norm(case, Node.RESULT_NORM, last, "output_norm")


def _product(node: Node, source: Node, name: str) -> _Check:
    def check(case: _Case) -> None:
        row = case.opened.row(source)
        weights = case.source.weights
        tensor = case.tensor(name) if node.in_layers else weights.output
        of_matrix = weights.row(tensor, case.cell.element, row.shape[1])
        (found,) = cells(of_matrix, quantise_for(of_matrix.type, row))
        case.require(found, case.opened.element(node))

    return check


def _residual(node: Node, addend: Node, *, of_stream: bool) -> _Check:
    def check(case: _Case) -> None:
        at, opened = case.cell.element, case.opened
        before = opened.stream()[0, at] if of_stream else opened.element(Node.FFN_INPUT)
        (found,) = glue.residual(np.array([before]), np.array([opened.element(addend)]))
        case.require(found, opened.element(node))

    return check


def _rotation(node: Node, source: Node) -> _Check:
    """Both elements of the pair: they are in one leaf."""

    def check(case: _Case) -> None:
        opened, rope = case.opened, case.source.weights.numbers.rope
        at = case.cell.element % rope.dimensions
        before, after = opened.head_of(source)[0], opened.head_of(node)[0]
        require_normal("a head", before, after)
        pair = rotated_pair(rope, case.cell.position, at, before, after)
        if pair.deviation > ROPE_BOUND:
            expected, got = _bits(np.float32(pair.expected)), _bits(pair.got)
            raise CellDeviates(case.cell, expected, got, deviation=pair.deviation)

    return check


def _cached(case: _Case) -> None:
    value = np.array([case.opened.element(Node.V)])
    committed = case.opened.channel(case.cell.element)[case.cell.position]
    case.require(attention.cached(value)[0], committed)


def _key_product(case: _Case) -> None:
    cell, opened = case.cell, case.opened
    key_head = cell.element // case.source.layout.shape.heads_per_key
    key = attention.cached(opened.head(Node.K_ROPE, key_head, cell.key))
    query = opened.head(Node.Q_ROPE, cell.element)
    score = attention.key_products(case.source.reference, query, key)[0, 0]
    case.require(score, opened.head(Node.KQ, cell.element)[0, cell.key])


def _softmax(case: _Case) -> None:
    cell, opened = case.cell, case.opened
    scores = opened.head(Node.KQ, cell.element)
    visible, scale = np.array([scores.shape[1]]), case.source.weights.numbers.score_scale
    row = attention.softmax(case.source.reference, scores, visible, scale)
    case.require(row[0, cell.key], opened.head(Node.SOFTMAX, cell.element)[0, cell.key])


def _value_product(case: _Case) -> None:
    cell, shape = case.cell, case.source.layout.shape
    head, at = divmod(cell.element, shape.head_size)
    weights = case.opened.head(Node.SOFTMAX, head)
    channel = case.opened.channel(head // shape.heads_per_key * shape.head_size + at)
    values = channel[: cell.position + 1, None]
    found = attention.value_products(case.source.reference, weights, values)[0, 0]
    case.require(found, case.opened.element(Node.KQV))


def _gate(case: _Case) -> None:
    gates, ups = (np.array([case.opened.element(node)]) for node in (Node.FFN_GATE, Node.FFN_UP))
    (found,) = glue.gate(case.source.reference, gates, ups)
    case.require(found, case.opened.element(Node.FFN_SWIGLU))


def _choice(case: _Case) -> None:
    logits = case.opened.row(Node.LOGITS)[0]
    require_normal("a row of logits", logits)
    expected, got = int(np.argmax(logits)), case.token(case.cell.position + 1)
    if expected != got:
        raise CellDeviates(case.cell, expected, got)


def _bits(value: Value) -> int:
    return int.from_bytes(value.tobytes(), "little")


_CHECKS: dict[SampledKind, _Check] = {
    SampledKind.EMBEDDING: _embedding,
    SampledKind.ATTN_NORM: lambda case: _norm(
        case, Node.ATTN_NORM, case.opened.stream(), case.tensor("attn_norm")
    ),
    SampledKind.Q: _product(Node.Q, Node.ATTN_NORM, "attn_q"),
    SampledKind.K: _product(Node.K, Node.ATTN_NORM, "attn_k"),
    SampledKind.V: _product(Node.V, Node.ATTN_NORM, "attn_v"),
    SampledKind.Q_ROPE: _rotation(Node.Q_ROPE, Node.Q),
    SampledKind.K_ROPE: _rotation(Node.K_ROPE, Node.K),
    SampledKind.V_CACHE: _cached,
    SampledKind.KQ: _key_product,
    SampledKind.SOFTMAX: _softmax,
    SampledKind.KQV: _value_product,
    SampledKind.ATTN_OUT: _product(Node.ATTN_OUT, Node.KQV, "attn_output"),
    SampledKind.FFN_INPUT: _residual(Node.FFN_INPUT, Node.ATTN_OUT, of_stream=True),
    SampledKind.FFN_NORM: lambda case: _norm(
        case, Node.FFN_NORM, case.opened.row(Node.FFN_INPUT), case.tensor("ffn_norm")
    ),
    SampledKind.FFN_GATE: _product(Node.FFN_GATE, Node.FFN_NORM, "ffn_gate"),
    SampledKind.FFN_UP: _product(Node.FFN_UP, Node.FFN_NORM, "ffn_up"),
    SampledKind.FFN_SWIGLU: _gate,
    SampledKind.FFN_OUT: _product(Node.FFN_OUT, Node.FFN_SWIGLU, "ffn_down"),
    SampledKind.LAYER_OUT: _residual(Node.LAYER_OUT, Node.FFN_OUT, of_stream=False),
    SampledKind.RESULT_NORM: _result_norm,
    SampledKind.LOGITS: _product(Node.LOGITS, Node.RESULT_NORM, ""),
    SampledKind.CHOICE: _choice,
}
