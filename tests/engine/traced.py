"""What the real model computes, beside what the reference arithmetic makes of the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import llama_cpp
import numpy as np
import numpy.typing as npt

from platformless.engine.gguf_header import TensorPlace
from platformless.engine.model import Model
from platformless.engine.trace.capture import NodeRows, capture
from platformless.engine.trace.supported import traceable_settings, traceable_shape
from platformless.protocol.arithmetic import attention, glue
from platformless.protocol.arithmetic.blocks import WeightRows, WeightType, weight_rows
from platformless.protocol.arithmetic.operations import Operation, Reference
from platformless.protocol.arithmetic.products import cells, products, quantise_for
from platformless.protocol.arithmetic.rope import Rope, RopeStyle, angle_scale, deviation
from platformless.protocol.arithmetic.rounding import Singles
from platformless.protocol.trace.nodes import Node

MATRICES = (
    ("attn_q", Node.ATTN_NORM, Node.Q),
    ("attn_k", Node.ATTN_NORM, Node.K),
    ("attn_v", Node.ATTN_NORM, Node.V),
    ("attn_output", Node.KQV, Node.ATTN_OUT),
    ("ffn_gate", Node.FFN_NORM, Node.FFN_GATE),
    ("ffn_up", Node.FFN_NORM, Node.FFN_UP),
    ("ffn_down", Node.FFN_SWIGLU, Node.FFN_OUT),
)
"""Of a layer: name, input, output."""
_BLOCK_BYTES = {18: WeightType.Q4_0, 20: WeightType.Q4_1, 34: WeightType.Q8_0}


class Compared(NamedTuple):
    """Cells of one kind: what the model has, and what they are recomputed to."""

    name: str
    operation: Operation
    expected: Singles
    got: Singles

    @property
    def wrong(self) -> int:
        """How many differ in a bit."""
        sides = (np.ascontiguousarray(one).view(np.uint32) for one in (self.expected, self.got))
        return int(np.not_equal(*sides).sum())


@dataclass(frozen=True)
class Pick:
    """So many random cells of each matrix, and so many heads of each layer; without it, all."""

    cells: int
    heads: int
    rng: np.random.Generator


Rows = dict[Node, Singles]


class TracedModel:
    """The model file's weights, and its facts."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.shape = traceable_shape(model.header)
        self.reference = Reference.of_build(llama_cpp.llama_print_system_info().decode())
        self._file = np.memmap(model.path, np.uint8, "r")
        self._places = {place.name: place for place in model.header.tensors}
        facts = model.header.properties
        self.epsilon = np.float32(facts["llama.attention.layer_norm_rms_epsilon"])  # type: ignore[arg-type]
        base = np.float32(facts["llama.rope.freq_base"])  # type: ignore[arg-type]
        size = self.shape.head_size
        self.rope = Rope(RopeStyle.NORMAL, size, angle_scale(base, size))
        self.score_scale = np.float32(1 / np.sqrt(np.float32(size)))

    def matrix(self, name: str, values: int) -> WeightRows:
        place = self._places[name + ".weight"]
        kind = _BLOCK_BYTES[place.row_bytes * 32 // values]
        return weight_rows(kind, self._bytes(place), values)

    def vector(self, name: str) -> Singles:
        found: Singles = self._bytes(self._places[name + ".weight"]).view(np.float32)
        return found

    def run(self, tokens: Sequence[int], visit: Callable[[int, Singles, Rows], None]) -> None:
        """Visits layer after layer with its number, its input and its rows; then, as one more
        layer, what follows them. The first row of the input is the embedding's."""
        rows: Rows = {}
        before: list[Singles] = []

        def sink(got: NodeRows) -> None:
            rows[got.node] = np.array(got.values)
            if got.node is Node.EMBEDDING:
                before.append(rows.pop(Node.EMBEDDING))
            elif got.node in (Node.LAYER_OUT, Node.LOGITS):
                visit(got.layer if got.node.in_layers else self.shape.layers, before[-1], rows)
                if got.node is Node.LAYER_OUT:
                    before.append(rows[Node.LAYER_OUT])
                    del before[0]
                rows.clear()

        settings = traceable_settings(threads=1)
        capture(self.model, tokens, settings, sink)

    def _bytes(self, place: TensorPlace) -> npt.NDArray[np.uint8]:
        return np.asarray(self._file[place.offset : place.end])


def compared_layer(
    traced: TracedModel, layer: int, before: Singles, rows: Rows, pick: Pick | None = None
) -> Iterator[Compared]:
    """All exact operations of a layer, or of what follows the last one."""
    if layer == traced.shape.layers:
        weight = traced.vector("output_norm")
        normed = glue.norm(before, weight, traced.epsilon)
        yield Compared("result_norm", Operation.NORM, rows[Node.RESULT_NORM], normed)
        yield _product(traced, "token_embd", rows[Node.RESULT_NORM], rows[Node.LOGITS], pick)
        return
    prefix = f"blk.{layer}."
    for name, source, node in (
        ("attn_norm", before, Node.ATTN_NORM),
        ("ffn_norm", rows[Node.FFN_INPUT], Node.FFN_NORM),
    ):
        normed = glue.norm(source, traced.vector(prefix + name), traced.epsilon)
        yield Compared(name, Operation.NORM, rows[node], normed)
    for name, into, out in MATRICES:
        yield _product(traced, prefix + name, rows[into], rows[out], pick)
    middle = rows[Node.FFN_INPUT]
    summed = glue.residual(before, rows[Node.ATTN_OUT])
    yield Compared("ffn_inp", Operation.RESIDUAL, middle, summed)
    summed = glue.residual(middle, rows[Node.FFN_OUT])
    yield Compared("l_out", Operation.RESIDUAL, rows[Node.LAYER_OUT], summed)
    gated = glue.gate(traced.reference, rows[Node.FFN_GATE], rows[Node.FFN_UP])
    yield Compared("ffn_swiglu", Operation.GATE, rows[Node.FFN_SWIGLU], gated)
    heads = np.arange(traced.shape.heads)
    for head in heads if pick is None else pick.rng.choice(heads, pick.heads, replace=False):
        yield from _head(traced, rows, int(head))


def rotation_deviation(traced: TracedModel, rows: Rows) -> float:
    """The largest of a layer, in parts of the operation's measure."""
    worst, size = 0.0, traced.shape.head_size
    for into, out in ((Node.Q, Node.Q_ROPE), (Node.K, Node.K_ROPE)):
        sides = zip(rows[into], rows[out], strict=True)
        for position, (plain, rotated) in enumerate(sides):
            parts = (one.reshape(-1, size) for one in (plain, rotated))
            worst = max(worst, deviation(traced.rope, position, *parts))
    return worst


def _product(
    traced: TracedModel, name: str, into: Singles, out: Singles, pick: Pick | None
) -> Compared:
    weights = traced.matrix(name, into.shape[1])
    quantised = quantise_for(weights.type, into)
    label = name.rpartition(".")[2]
    if pick is None:
        got = products(weights, quantised)
        return Compared(label, Operation.WEIGHT_PRODUCT, out, got)
    row, element = (pick.rng.integers(0, count, pick.cells) for count in out.shape)
    got = cells(weights.take(element), quantised.take(row))
    return Compared(label, Operation.WEIGHT_PRODUCT, out[row, element], got)


def _head(traced: TracedModel, rows: Rows, head: int) -> Iterator[Compared]:
    shape, reference = traced.shape, traced.reference
    count = len(rows[Node.Q_ROPE])
    size, shared = shape.head_size, shape.heads // shape.kv_heads

    def part(node: Node, which: int) -> Singles:
        return np.ascontiguousarray(rows[node].reshape(count, -1, size)[:, which])

    keys, values = (attention.cached(part(node, head // shared)) for node in (Node.K_ROPE, Node.V))
    known = np.tril(np.ones((count, count), bool))
    scores, weights = (
        np.ascontiguousarray(rows[node][:, head, :count]) for node in (Node.KQ, Node.SOFTMAX)
    )
    got = attention.key_products(reference, part(Node.Q_ROPE, head), keys)
    yield Compared("kq", Operation.KEY_PRODUCT, scores[known], got[known])
    visible = np.arange(1, count + 1)
    softened = attention.softmax(reference, scores, visible, traced.score_scale)
    yield Compared("kq_soft_max", Operation.SOFTMAX, weights[known], softened[known])
    summed = attention.value_products(reference, weights, values)
    yield Compared("kqv", Operation.VALUE_PRODUCT, part(Node.KQV, head), summed)
