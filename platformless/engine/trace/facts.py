"""What a sample claim says of a model file besides the root of its weights."""

from __future__ import annotations

import numpy as np

from ...protocol.arithmetic.blocks import WeightType
from ...protocol.arithmetic.rope import RopeStyle, angle_scale
from ...protocol.sample.facts import LayerTensor, ModelFacts, TensorFacts
from ..errors import NotGguf
from ..gguf_header import GgufHeader
from .supported import traceable_shape

_F32 = 0
_BLOCK_TYPES = {20: WeightType.Q4_1, 34: WeightType.Q8_0}
"""By the bytes of 32 values."""
_NAMES = {
    LayerTensor.ATTN_NORM: "attn_norm",
    LayerTensor.Q: "attn_q",
    LayerTensor.K: "attn_k",
    LayerTensor.V: "attn_v",
    LayerTensor.ATTN_OUT: "attn_output",
    LayerTensor.FFN_NORM: "ffn_norm",
    LayerTensor.FFN_GATE: "ffn_gate",
    LayerTensor.FFN_UP: "ffn_up",
    LayerTensor.FFN_DOWN: "ffn_down",
}
_BASE = "llama.rope.freq_base"
_EPSILON = "llama.attention.layer_norm_rms_epsilon"
_USUAL_BASE = 10000.0
"""llama.cpp's, where the header has none."""


def model_facts(header: GgufHeader) -> ModelFacts:
    """The facts of a model that can be traced.

    Raises:
        ModelNotTraceable: see `supported.traceable_shape`.
        NotGguf: when the header lacks a number.
        FactsInvalid: for a model beyond the guest's bounds.
    """
    shape = traceable_shape(header)
    first, places = 0, {}
    for index, tensor in enumerate(header.tensors):
        places[tensor.name] = (index, first, tensor.row_bytes)
        first += tensor.rows

    def tensor_facts(name: str, values: int) -> TensorFacts:
        index, first_row, row_bytes = places[name]
        number = _BLOCK_TYPES.get(row_bytes * 32 // values, _F32)
        return TensorFacts(index, int(number), first_row)

    def of_layer(layer: int) -> tuple[TensorFacts, ...]:
        width = {
            LayerTensor.ATTN_OUT: shape.heads * shape.head_size,
            LayerTensor.FFN_DOWN: shape.ffn,
        }
        return tuple(
            tensor_facts(f"blk.{layer}.{_NAMES[one]}.weight", width.get(one, shape.embedding))
            for one in LayerTensor
        )

    output = "output.weight" if "output.weight" in places else "token_embd.weight"
    size = shape.head_size
    scale = angle_scale(_single(header, _BASE, _USUAL_BASE), size)
    return ModelFacts(
        shape=shape,
        epsilon_bits=_bits(_single(header, _EPSILON, None)),
        angle_scale_bits=_bits(scale),
        rope_style=int(RopeStyle.NORMAL),
        score_scale_bits=_bits(np.float32(1) / np.sqrt(np.float32(size))),
        weight_rows=first,
        token_table=tensor_facts("token_embd.weight", shape.embedding),
        last_norm=tensor_facts("output_norm.weight", shape.embedding),
        output=tensor_facts(output, shape.embedding),
        layers=tuple(of_layer(layer) for layer in range(shape.layers)),
    )


def _single(header: GgufHeader, key: str, usual: float | None) -> np.float32:
    value = header.properties.get(key, usual)
    if not isinstance(value, float):
        raise NotGguf(f"{key} is missing in the header", expected="a number", got=value)
    return np.float32(value)


def _bits(value: np.float32) -> int:
    return int(value.view(np.uint32))
