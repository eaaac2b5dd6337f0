"""Every cell of a trace held against the registered weights: which deviate, exactly.

The same arithmetic as `audit.cells.checking`, a whole node at a time; `benchmarks.cheats` compares
the two on the cells of real challenges.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from platformless.protocol.arithmetic import attention, glue
from platformless.protocol.arithmetic.operations import ROPE_BOUND
from platformless.protocol.arithmetic.products import products, quantise_for
from platformless.protocol.arithmetic.rope import angles
from platformless.protocol.arithmetic.rounding import Singles
from platformless.protocol.trace.cells import Cell, SampledKind
from platformless.protocol.trace.nodes import Node
from tests.cells.held import REFERENCE, HeldTrace
from tests.engine.traced import MATRICES, TracedModel

Flags = npt.NDArray[np.bool_]
KINDS: tuple[SampledKind, ...] = tuple(
    kind for kind in SampledKind if kind is not SampledKind.CHOICE
)
"""Those that a claim samples."""
_PRODUCTS = {out: (name, into) for name, into, out in MATRICES}
_NORMS = {Node.ATTN_NORM: "attn_norm", Node.FFN_NORM: "ffn_norm"}
_ROTATIONS = {Node.Q_ROPE: Node.Q, Node.K_ROPE: Node.K}


class Verdicts:
    """Which cells of a trace deviate, computed node by node when they are asked for."""

    def __init__(self, registered: TracedModel, held: HeldTrace) -> None:
        self._model, self._held = registered, held
        self._known: dict[tuple[SampledKind, int], Flags] = {}

    def deviates(self, cell: Cell) -> bool:
        flags = self.flags(cell.kind, cell.layer)
        if cell.kind.node.causal:
            return bool(flags[cell.position, cell.element, cell.key])
        return bool(flags[cell.position, cell.element])

    def flags(self, kind: SampledKind, layer: int) -> Flags:
        """[positions, elements]; of attention [positions, heads, keys], False behind a position."""
        if (kind, layer) not in self._known:
            self._known[kind, layer] = self._compute(kind, layer)
        return self._known[kind, layer]

    def share(self, kind: SampledKind) -> float:
        """The fraction of the kind's cells that deviate."""
        population = self._held.population(kind)
        return self.count(kind) / population.size

    def count(self, kind: SampledKind) -> int:
        layers = range(self._held.population(kind).layers)
        return sum(int(self.flags(kind, layer).sum()) for layer in layers)

    def clear(self, kind: SampledKind, layers: list[int]) -> None:
        """States that these layers of a kind are right; samples are to show it."""
        count, width = len(self._held.tokens), self._held.layout.shape.width(kind.node)
        shape = (count, width, count) if kind.node.causal else (count, width)
        for layer in layers:
            self._known[kind, layer] = np.broadcast_to(np.False_, shape)

    def _compute(self, kind: SampledKind, layer: int) -> Flags:
        node = kind.node
        if kind is SampledKind.CHOICE:
            return self._choices()
        if node in _ROTATIONS:
            return self._rotated(node, layer)
        if node.causal:
            return self._attention(node, layer)
        if node is Node.V_CACHE:  # made of V by `HeldTrace` itself
            return np.zeros(self._row(Node.V, layer).shape, bool)
        return _differ(self._row(node, layer), self._recomputed(node, layer))

    def _recomputed(self, node: Node, layer: int) -> Singles:
        model, prefix = self._model, f"blk.{layer}."
        if node is Node.EMBEDDING:
            table = model.matrix("token_embd", model.shape.embedding)
            return glue.embeddings(table.take(np.array(self._held.tokens)))
        if node in _PRODUCTS:
            name, into = _PRODUCTS[node]
            return self._product(prefix + name, self._row(into, layer))
        if node is Node.LOGITS:
            return self._product("token_embd", self._row(Node.RESULT_NORM, 0))
        if node is Node.RESULT_NORM:
            last = self._row(Node.LAYER_OUT, model.shape.layers - 1)
            return glue.norm(last, model.vector("output_norm"), model.epsilon)
        if node in _NORMS:
            first = node is Node.ATTN_NORM
            source = self._stream(layer) if first else self._row(Node.FFN_INPUT, layer)
            return glue.norm(source, model.vector(prefix + _NORMS[node]), model.epsilon)
        if node is Node.FFN_INPUT:
            return glue.residual(self._stream(layer), self._row(Node.ATTN_OUT, layer))
        if node is Node.LAYER_OUT:
            return glue.residual(self._row(Node.FFN_INPUT, layer), self._row(Node.FFN_OUT, layer))
        if node is Node.FFN_SWIGLU:
            gates, ups = (self._row(one, layer) for one in (Node.FFN_GATE, Node.FFN_UP))
            return glue.gate(REFERENCE, gates, ups)
        return self._values(layer)

    def _row(self, node: Node, layer: int) -> Singles:
        return self._held.rows[node, layer]

    def _stream(self, layer: int) -> Singles:
        if layer == 0:
            return self._row(Node.EMBEDDING, 0)
        return self._row(Node.LAYER_OUT, layer - 1)

    def _product(self, name: str, rows: Singles) -> Singles:
        weights = self._model.matrix(name, rows.shape[1])
        return products(weights, quantise_for(weights.type, rows))

    def _choices(self) -> Flags:
        chosen = self._row(Node.LOGITS, 0).argmax(axis=-1)
        wrong = np.zeros((len(chosen), 1), bool)
        wrong[:-1, 0] = chosen[:-1] != np.array(self._held.tokens[1:])
        return wrong

    def _head(self, node: Node, layer: int, head: int) -> Singles:
        size = self._model.shape.head_size
        row = self._row(node, layer)
        return np.ascontiguousarray(row[:, head * size : (head + 1) * size])

    def _rotated(self, node: Node, layer: int) -> Flags:
        rope, size = self._model.rope, self._model.shape.head_size
        before, after = self._row(_ROTATIONS[node], layer), self._row(node, layer)
        flags = np.zeros(after.shape, bool)
        for position, (plain, turned) in enumerate(zip(before, after, strict=True)):
            cosine, sine = angles(rope, position)
            x0, x1 = rope.pairs(plain.reshape(-1, size))
            got = rope.pairs(turned.reshape(-1, size))
            wrong = np.zeros(x0.shape, bool)
            for left, right, found in (
                (x0 * cosine, -(x1 * sine), got[0]),
                (x0 * sine, x1 * cosine, got[1]),
            ):
                wrong |= np.abs(found - (left + right)) > ROPE_BOUND * (
                    np.abs(left) + np.abs(right)
                )
            flags[position] = np.repeat(wrong, 2, axis=-1).reshape(-1)
        return flags

    def _attention(self, node: Node, layer: int) -> Flags:
        shape, count = self._model.shape, len(self._held.tokens)
        known = np.tril(np.ones((count, count), bool))
        flags = np.zeros((count, shape.heads, count), bool)
        for head in range(shape.heads):
            scores = np.ascontiguousarray(self._row(Node.KQ, layer)[:, head])
            if node is Node.KQ:
                keys = attention.cached(self._head(Node.K_ROPE, layer, head // shape.heads_per_key))
                query = self._head(Node.Q_ROPE, layer, head)
                found = attention.key_products(REFERENCE, query, keys)
                flags[:, head] = _differ(scores, found) & known
            else:
                visible = np.arange(1, count + 1)
                scale = self._model.score_scale
                found = attention.softmax(REFERENCE, scores, visible, scale)
                committed = np.ascontiguousarray(self._row(Node.SOFTMAX, layer)[:, head])
                flags[:, head] = _differ(committed, found) & known
        return flags

    def _values(self, layer: int) -> Singles:
        shape, count = self._model.shape, len(self._held.tokens)
        known = np.tril(np.ones((count, count), np.float32))
        parts = []
        for head in range(shape.heads):
            weights = np.where(known > 0, self._row(Node.SOFTMAX, layer)[:, head], np.float32(0))
            values = attention.cached(self._head(Node.V, layer, head // shape.heads_per_key))
            parts.append(attention.value_products(REFERENCE, weights, values))
        return np.concatenate(parts, axis=-1)


def _differ(one: Singles, other: Singles) -> Flags:
    sides = (np.ascontiguousarray(side).view(np.uint32) for side in (one, other))
    flags: Flags = np.not_equal(*sides)
    return flags
