"""What a claim says of the model besides the root of its weights.

The root holds the rows of the tensors, by number. Which tensor is which, the sizes, and the numbers
that the arithmetic takes from the file's header are here; whoever has the file makes them anew
(`engine.trace.facts`). The digest is tagged_sha256("sample-model", words), words are u32,
little-endian:

    0-6    layers, embedding, heads, key heads, head size, ffn, vocabulary
    7-10   bits of the norms' epsilon, bits of the angle scale, rope style, bits of the score scale
    11     rows of all tensors of the file
    12…    for each tensor: index in the file's table, type (as in GGUF), number of its first row
           among all rows: embedding table, last norm, output matrix; then layer by layer attention
           norm, Q, K, V, attention output, FFN norm, gate, up, down
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from ..digests import FixedBytes, tagged_sha256
from ..trace.cells import Cell, SampledKind
from ..trace.nodes import ModelShape
from ..words import U32_MAX, in_range
from .errors import FactsInvalid

MAX_LAYERS = 128
MAX_ROW_VALUES = 16384
"""Of a row that is opened whole."""
MAX_VOCABULARY = 1 << 18


class ModelFactsDigest(FixedBytes):
    """Digest of the facts of a model."""


class LayerTensor(IntEnum):
    """Tensors of a layer, by their place in the facts."""

    ATTN_NORM = 0
    Q = 1
    K = 2
    V = 3
    ATTN_OUT = 4
    FFN_NORM = 5
    FFN_GATE = 6
    FFN_UP = 7
    FFN_DOWN = 8


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One tensor of the file."""

    index: int
    """In the file's table."""
    type: int
    """As GGUF numbers it; 0 is F32."""
    first_row: int
    """Among the rows of all tensors."""


@dataclass(frozen=True, slots=True)
class WeightRow:
    """A row of a tensor, by its number in the tensor."""

    tensor: TensorFacts
    row: int

    @property
    def leaf(self) -> int:
        """Its place among the leaves of the weights root."""
        return self.tensor.first_row + self.row


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts of a model.

    Raises:
        FactsInvalid: for sizes beyond the guest's bounds, or missing tensors.
    """

    shape: ModelShape
    epsilon_bits: int
    angle_scale_bits: int
    rope_style: int
    score_scale_bits: int
    weight_rows: int
    token_table: TensorFacts
    last_norm: TensorFacts
    output: TensorFacts
    layers: tuple[tuple[TensorFacts, ...], ...]

    def __post_init__(self) -> None:
        shape = self.shape
        for name, most in (
            ("layers", MAX_LAYERS),
            ("embedding", MAX_ROW_VALUES),
            ("ffn", MAX_ROW_VALUES),
            ("vocabulary", MAX_VOCABULARY),
        ):
            if getattr(shape, name) > most:
                raise FactsInvalid(
                    f"{name} of a model", expected=f"at most {most}", got=getattr(shape, name)
                )
        if shape.heads * shape.head_size > MAX_ROW_VALUES:
            raise FactsInvalid("heads of a model", expected=f"{MAX_ROW_VALUES} values", got=shape)
        if len(self.layers) != shape.layers or any(
            len(one) != len(LayerTensor) for one in self.layers
        ):
            raise FactsInvalid("layers without their tensors", expected=shape.layers)
        for name in ("epsilon_bits", "angle_scale_bits", "score_scale_bits", "weight_rows"):
            in_range(name, getattr(self, name), U32_MAX)

    def words(self) -> tuple[int, ...]:
        shape = self.shape
        tensors = [self.token_table, self.last_norm, self.output]
        tensors += [one for layer in self.layers for one in layer]
        return (
            *(getattr(shape, name) for name in shape.__dataclass_fields__),
            self.epsilon_bits,
            self.angle_scale_bits,
            self.rope_style,
            self.score_scale_bits,
            self.weight_rows,
            *(word for one in tensors for word in (one.index, one.type, one.first_row)),
        )

    def encode(self) -> bytes:
        words = self.words()
        return struct.pack(f"<{len(words)}I", *words)

    @property
    def digest(self) -> ModelFactsDigest:
        return ModelFactsDigest(tagged_sha256("sample-model", self.encode()))

    def weight_row(self, cell: Cell, tokens: tuple[int, ...]) -> WeightRow | None:
        """The row of the weights that a cell is recomputed from, if there is one."""
        kind = cell.kind
        if kind is SampledKind.EMBEDDING:
            return WeightRow(self.token_table, tokens[cell.position])
        if kind is SampledKind.RESULT_NORM:
            return WeightRow(self.last_norm, 0)
        if kind is SampledKind.LOGITS:
            return WeightRow(self.output, cell.element)
        if kind in _NORMS:
            return WeightRow(self.layers[cell.layer][_NORMS[kind]], 0)
        if kind in _MATRICES:
            return WeightRow(self.layers[cell.layer][_MATRICES[kind]], cell.element)
        return None


_NORMS = {
    SampledKind.ATTN_NORM: LayerTensor.ATTN_NORM,
    SampledKind.FFN_NORM: LayerTensor.FFN_NORM,
}
_MATRICES = {
    SampledKind.Q: LayerTensor.Q,
    SampledKind.K: LayerTensor.K,
    SampledKind.V: LayerTensor.V,
    SampledKind.ATTN_OUT: LayerTensor.ATTN_OUT,
    SampledKind.FFN_GATE: LayerTensor.FFN_GATE,
    SampledKind.FFN_UP: LayerTensor.FFN_UP,
    SampledKind.FFN_OUT: LayerTensor.FFN_DOWN,
}
