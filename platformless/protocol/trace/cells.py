"""The cells of a trace: what can be asked for, kind by kind, and their numbers.

A cell is one element of one node at one position. Kinds have the numbers of their nodes, so that
each matrix of a layer is sampled for itself; a further one is the choice of a token from a row of
logits. The cells of a kind are numbered without gaps, so that a number drawn uniformly is a cell
drawn uniformly.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import isqrt

from ..words import U32_MAX, U64_MAX, in_range
from .errors import ChallengeInvalid
from .nodes import ModelShape, Node


class SampledKind(enum.Enum):
    """Cells that are counted together: for each k, and a bound on what may deviate unseen."""

    EMBEDDING = Node.EMBEDDING.value
    ATTN_NORM = Node.ATTN_NORM.value
    Q = Node.Q.value
    K = Node.K.value
    V = Node.V.value
    Q_ROPE = Node.Q_ROPE.value
    K_ROPE = Node.K_ROPE.value
    V_CACHE = Node.V_CACHE.value
    KQ = Node.KQ.value
    SOFTMAX = Node.SOFTMAX.value
    KQV = Node.KQV.value
    ATTN_OUT = Node.ATTN_OUT.value
    FFN_INPUT = Node.FFN_INPUT.value
    FFN_NORM = Node.FFN_NORM.value
    FFN_GATE = Node.FFN_GATE.value
    FFN_UP = Node.FFN_UP.value
    FFN_SWIGLU = Node.FFN_SWIGLU.value
    FFN_OUT = Node.FFN_OUT.value
    LAYER_OUT = Node.LAYER_OUT.value
    RESULT_NORM = Node.RESULT_NORM.value
    LOGITS = Node.LOGITS.value
    CHOICE = 21  # the token that the sampler took from a row of logits

    @property
    def node(self) -> Node:
        """Whose rows a cell of this kind checks; of a choice, the logits."""
        return Node.LOGITS if self is SampledKind.CHOICE else Node(self.value)


@dataclass(frozen=True, slots=True)
class Cell:
    """One element of one node at one position."""

    kind: SampledKind
    layer: int
    """0 where a node is in no layer."""
    position: int
    element: int
    """Place in the row; of attention, the head; of the V cache, the channel; of a choice, 0."""
    key: int = 0
    """Of attention rows, the position that the head looks at; else 0."""


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive positions."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Population:
    """All cells of one kind in a trace, numbered by layer, then position, then element, then key.

    Raises:
        ChallengeInvalid: when it has no cells, too many, or spans that overlap.
    """

    kind: SampledKind
    layers: int
    """1 where the node is in no layer."""
    elements: int
    """Elements of a row; heads of an attention row."""
    spans: tuple[Span, ...]
    """Positions, in rising order, without overlaps."""

    def __post_init__(self) -> None:
        for name in ("layers", "elements"):
            in_range(f"{name} of a kind of cells", getattr(self, name), U32_MAX)
        end = 0
        for span in self.spans:
            if span.first < end or span.count < 1 or span.first + span.count > U32_MAX:
                raise ChallengeInvalid(
                    "positions out of order", expected=f"one or more from {end}", got=span
                )
            end = span.first + span.count
        if not 0 < self.size <= U64_MAX:
            raise ChallengeInvalid(
                f"cells of {self.kind.name} cannot be numbered",
                expected=f"1 to {U64_MAX}",
                got=self.size,
            )

    @classmethod
    def of(cls, kind: SampledKind, shape: ModelShape, spans: tuple[Span, ...]) -> Population:
        """The cells of a kind at those positions of a trace of such a model."""
        node = kind.node
        return cls(
            kind,
            shape.layers if node.in_layers else 1,
            1 if kind is SampledKind.CHOICE else shape.width(node),
            spans,
        )

    @property
    def size(self) -> int:
        """How many cells there are."""
        return self.layers * self._layer_cells

    def cell(self, number: int) -> Cell:
        """The cell of that number, from 0.

        Raises:
            ChallengeInvalid: when there are fewer.
        """
        if not 0 <= number < self.size:
            raise ChallengeInvalid("no such cell", expected=f"below {self.size}", got=number)
        layer, left = divmod(number, self._layer_cells)
        for span in self.spans:
            cells = self._span_cells(span)
            if left < cells:
                break
            left -= cells
        if not self.kind.node.causal:
            position, element = divmod(left, self.elements)
            return Cell(self.kind, layer, span.first + position, element)
        # Position p has p + 1 cells a head, so those before it are a triangular number.
        left += self.elements * _triangle(span.first)
        position = (isqrt(8 * (left // self.elements) + 1) - 1) // 2
        left -= self.elements * _triangle(position)
        element, key = divmod(left, position + 1)
        return Cell(self.kind, layer, position, element, key)

    @property
    def _layer_cells(self) -> int:
        return sum(self._span_cells(span) for span in self.spans)

    def _span_cells(self, span: Span) -> int:
        if self.kind.node.causal:
            return self.elements * (_triangle(span.first + span.count) - _triangle(span.first))
        return self.elements * span.count


def _triangle(count: int) -> int:
    return count * (count + 1) // 2
