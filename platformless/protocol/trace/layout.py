"""How a trace is cut into leaves, in which order they stand, and what the root says.

All integers are u32, little-endian; hashes are the protocol's tagged SHA-256.

    leaf    tagged_sha256("trace-leaf", node index + position + piece + bytes)
    bytes   values as in memory: f32, of the V cache f16, little-endian
    piece   of a row that other nodes need whole: the row, piece 0
            of Q and K after rotation: one head
            of Q, K and V: as many whole heads as have 512 values, at least one
            of other rows, read element by element: 512 values; the last piece may be shorter
            of attention rows: the cells of one head up to the position
            of the V cache: one channel at all positions, with position 0
    node    a tree over its leaves, by position, then by piece (the V cache: by channel)
    top     a tree over the roots of the nodes, by node index
    index   the embedding; in each layer the nodes from ATTN_NORM to LAYER_OUT; RESULT_NORM; LOGITS
    root    tagged_sha256("trace-root", the seven sizes of the model + positions + root of the top)

Trees are those of `merkle`. The sizes in the root fix the shape of every tree, so a place has one
path; settings are not in it, since the same bits come from several.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256

from ..digests import TraceRoot, tag_block, tagged_sha256
from ..words import U32_MAX, in_range
from .errors import TraceShapeInvalid
from .nodes import ModelShape, Node

LEAF_TAG = tag_block("trace-leaf")
LEAF_HEAD = struct.Struct("<III")
"""Node index, position, piece."""
F32_BYTES, F16_BYTES = 4, 2
_PIECE_VALUES = 512
"""2 KiB: an element is opened with 33 blocks of SHA-256."""
_ROOT_HEAD = struct.Struct("<8I")
LAYER_NODES = tuple(node for node in Node if node.in_layers)
_WHOLE = {
    Node.EMBEDDING,
    Node.ATTN_NORM,
    Node.KQV,
    Node.FFN_INPUT,
    Node.FFN_NORM,
    Node.FFN_SWIGLU,
    Node.LAYER_OUT,
    Node.RESULT_NORM,
}
_HEADS = {Node.Q, Node.K, Node.V}
_HEAD = {Node.Q_ROPE, Node.K_ROPE}


def leaf_digest(node_index: int, position: int, piece: int, data: bytes) -> bytes:
    return sha256(LEAF_TAG + LEAF_HEAD.pack(node_index, position, piece) + data).digest()


@dataclass(frozen=True, slots=True)
class TraceLayout:
    """The places of a trace of a number of positions.

    Raises:
        TraceShapeInvalid: for no positions.
    """

    shape: ModelShape
    positions: int

    def __post_init__(self) -> None:
        if in_range("positions of a trace", self.positions, U32_MAX) == 0:
            raise TraceShapeInvalid("a trace without positions", expected="at least 1", got=0)

    @property
    def node_count(self) -> int:
        return 3 + self.shape.layers * len(LAYER_NODES)

    def index(self, node: Node, layer: int = 0) -> int:
        """Raises:
        TraceShapeInvalid: when there is no such layer.
        """
        if not 0 <= layer < (self.shape.layers if node.in_layers else 1):
            raise TraceShapeInvalid(
                f"no such layer of {node.name}", expected=f"below {self.shape.layers}", got=layer
            )
        if node is Node.EMBEDDING:
            return 0
        if node is Node.RESULT_NORM:
            return self.node_count - 2
        if node is Node.LOGITS:
            return self.node_count - 1
        return 1 + layer * len(LAYER_NODES) + LAYER_NODES.index(node)

    def piece_values(self, node: Node) -> int:
        """Values of a piece of a row that is not causal; its last piece may have fewer."""
        if node in _WHOLE:
            return self.shape.width(node)
        if node in _HEAD:
            return self.shape.head_size
        if node in _HEADS:
            return self.shape.head_size * max(1, _PIECE_VALUES // self.shape.head_size)
        return _PIECE_VALUES

    def pieces(self, node: Node) -> int:
        """Leaves of one row; of the V cache, which has no rows, all."""
        width = self.shape.width(node)
        if node.causal or node is Node.V_CACHE:
            return width
        return -(-width // self.piece_values(node))

    def leaves(self, node: Node) -> int:
        """Leaves of one node, at all positions."""
        return self.pieces(node) * (1 if node is Node.V_CACHE else self.positions)

    def leaf_bytes(self, node: Node, position: int, piece: int) -> int:
        """Bytes that a leaf holds.

        Raises:
            TraceShapeInvalid: when there is no such leaf.
        """
        rows = 1 if node is Node.V_CACHE else self.positions
        if not 0 <= position < rows or not 0 <= piece < self.pieces(node):
            raise TraceShapeInvalid(
                f"no such leaf of {node.name}",
                expected=f"position below {rows}, piece below {self.pieces(node)}",
                got=f"position {position}, piece {piece}",
            )
        if node is Node.V_CACHE:
            return F16_BYTES * self.positions
        if node.causal:
            return F32_BYTES * (position + 1)
        size = self.piece_values(node)
        return F32_BYTES * min(size, self.shape.width(node) - piece * size)

    @property
    def counted_bytes(self) -> int:
        """Bytes in all leaves, without their heads."""
        shape, positions = self.shape, self.positions
        total = 0
        for node in Node:
            width, times = shape.width(node), shape.layers if node.in_layers else 1
            if node.causal:
                total += times * F32_BYTES * width * (positions * (positions + 1) // 2)
            else:
                size = F16_BYTES if node is Node.V_CACHE else F32_BYTES
                total += times * size * width * positions
        return total

    @property
    def leaf_count(self) -> int:
        return sum(
            self.leaves(node) * (self.shape.layers if node.in_layers else 1) for node in Node
        )

    def root(self, top: bytes) -> TraceRoot:
        """The root of the trace, from that of the tree over its nodes."""
        shape = self.shape
        head = _ROOT_HEAD.pack(
            shape.layers,
            shape.embedding,
            shape.heads,
            shape.kv_heads,
            shape.head_size,
            shape.ffn,
            shape.vocabulary,
            self.positions,
        )
        return TraceRoot(tagged_sha256("trace-root", head + top))
