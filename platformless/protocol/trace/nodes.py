"""The nodes of a llama model's graph that a trace commits to.

A row is what one node computes at one position: f32 values as they lie in memory, little-endian.
Which nodes: those that elements of other nodes are recomputed from, so that each element follows
from opened rows and weights alone (docs/trace.md). Attention rows end at their own position: what
the cache holds behind it depends on how the tokens were cut into chunks, and counts for nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..words import U32_MAX, in_range
from .errors import TraceShapeInvalid


class Node(enum.Enum):
    """What is computed. The value is part of the layout: it is hashed and never changes."""

    EMBEDDING = 0  # the row of the embedding table
    ATTN_NORM = 1  # RMS norm of the residual stream, times its weights: input of Q, K and V
    Q = 2
    K = 3
    V = 4
    Q_ROPE = 5  # Q and K turned by the position
    K_ROPE = 6
    V_CACHE = 7  # V as attention reads it, f16: a leaf holds one channel at all positions
    KQ = 8  # products of a head's query with the keys up to the position, not yet scaled
    SOFTMAX = 9
    KQV = 10  # the heads' weighted sums of values, side by side: input of the output projection
    ATTN_OUT = 11
    FFN_INPUT = 12  # residual stream after attention
    FFN_NORM = 13
    FFN_GATE = 14
    FFN_UP = 15
    FFN_SWIGLU = 16
    FFN_OUT = 17
    LAYER_OUT = 18  # residual stream after the layer
    RESULT_NORM = 19
    LOGITS = 20

    @property
    def in_layers(self) -> bool:
        """Whether every layer has one."""
        return self not in (Node.EMBEDDING, Node.RESULT_NORM, Node.LOGITS)

    @property
    def causal(self) -> bool:
        """Whether each head has a value for each position up to the row's."""
        return self in (Node.KQ, Node.SOFTMAX)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of a llama model.

    Raises:
        TraceShapeInvalid: for sizes that no such model has.
    """

    layers: int
    embedding: int
    """Values of the residual stream."""
    heads: int
    kv_heads: int
    head_size: int
    ffn: int
    vocabulary: int

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if in_range(f"{name} of a model", getattr(self, name), U32_MAX) == 0:
                raise TraceShapeInvalid(f"{name} of a model", expected="at least 1", got=0)
        if self.heads % self.kv_heads:
            raise TraceShapeInvalid(
                "heads share keys unevenly",
                expected=f"a multiple of {self.kv_heads}",
                got=self.heads,
            )

    @property
    def heads_per_key(self) -> int:
        """Heads that share one head of keys and values."""
        return self.heads // self.kv_heads

    def width(self, node: Node) -> int:
        """Values of a row; of a causal row, its heads; of the V cache, its channels."""
        if node.causal:
            return self.heads
        if node in (Node.Q, Node.Q_ROPE, Node.KQV):
            return self.heads * self.head_size
        if node in (Node.K, Node.V, Node.K_ROPE, Node.V_CACHE):
            return self.kv_heads * self.head_size
        if node in (Node.FFN_GATE, Node.FFN_UP, Node.FFN_SWIGLU):
            return self.ffn
        return self.vocabulary if node is Node.LOGITS else self.embedding
