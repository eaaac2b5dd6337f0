"""Which models and settings can be traced: decided from a file's header and this llama.cpp, before
anything is computed."""

from __future__ import annotations

import os

import llama_cpp

from ...protocol.trace.errors import TraceShapeInvalid
from ...protocol.trace.nodes import ModelShape
from ...protocol.trace.settings import TraceSettings
from ..build import llama_build
from ..gguf_header import GgufHeader, TensorPlace
from .errors import BuildNotTraceable, ModelNotTraceable, SettingsNotTraceable
from .tensor import require_known_layout

ARCHITECTURE = "llama"
SMALLEST_UBATCH = 2
"""One token at a time takes other kernels, and other bits, than several."""
_BLOCK = 32
_F32_BYTES, _Q4_1_BYTES, _Q8_0_BYTES = 128, 20, 34
"""Bytes of 32 values. No other type of ggml has as many, but for integers, which llama.cpp does
not take as weights."""
_TYPES = {_F32_BYTES: "F32", _Q4_1_BYTES: "Q4_1", _Q8_0_BYTES: "Q8_0"}
_MATRIX, _VECTOR = (_Q4_1_BYTES, _Q8_0_BYTES), (_F32_BYTES,)
_KNOWN_PROPERTIES = {
    "vocab_size",
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "rope.dimension_count",
    "rope.freq_base",
}
"""Others (experts, scaled rotation, windows) change the graph."""
_REQUIRED_SETS = ("AVX2", "FMA", "F16C")


def traceable_settings(*, threads: int = 0, ubatch_tokens: int = 512) -> TraceSettings:
    """The settings of a trace by the llama.cpp that is installed here.

    Args:
        threads: of llama.cpp; 0: one for each core that this process may use.

    Raises:
        BuildNotTraceable: when its arithmetic is not the known one.
    """
    return TraceSettings(
        llama_build=llama_build(),
        product_lanes=_product_lanes(),
        threads=threads or len(os.sched_getaffinity(0)),
        ubatch_tokens=ubatch_tokens,
    )


def require_traceable_settings(settings: TraceSettings) -> None:
    """Raises:
    SettingsNotTraceable: for settings under which the same tokens need not give the same bits.
    BuildNotTraceable: when they are of another llama.cpp than the one that is installed.
    """
    found = {
        "flash_attention": (settings.flash_attention, False),
        "kv_type": (settings.kv_type, "f16"),
        "gpu_layers": (settings.gpu_layers, 0),
    }
    for name, (got, expected) in found.items():
        if got != expected:
            raise SettingsNotTraceable(
                f"{name} of a trace is not reproducible", expected=expected, got=got
            )
    if settings.ubatch_tokens < SMALLEST_UBATCH:
        raise SettingsNotTraceable(
            "ubatch_tokens of a trace is not reproducible",
            expected=f"at least {SMALLEST_UBATCH}",
            got=settings.ubatch_tokens,
        )
    require_known_layout()
    here = (llama_build(), _product_lanes())
    if (settings.llama_build, settings.product_lanes) != here:
        raise BuildNotTraceable(
            "the trace is of another llama.cpp",
            expected=f"{here[0]}, {here[1]} lanes",
            got=f"{settings.llama_build}, {settings.product_lanes} lanes",
        )


def require_whole_vectors(shape: ModelShape, settings: TraceSettings) -> None:
    """Raises:
    ModelNotTraceable: where ggml's vectors do not divide a head or a row of the gate: what is left
        over is computed otherwise.
    """
    for name, size in (("head size", shape.head_size), ("feed_forward_length", shape.ffn)):
        if size % settings.product_lanes:
            raise _refused(name, f"a multiple of {settings.product_lanes}", size)


def traceable_shape(header: GgufHeader) -> ModelShape:
    """The sizes of a model that can be traced.

    Raises:
        ModelNotTraceable: for another architecture, another type of weights, or a part of the
            graph that the trace does not know.
    """
    architecture = header.text("general.architecture")
    if architecture != ARCHITECTURE:
        raise _refused("architecture", ARCHITECTURE, architecture)
    prefix = f"{ARCHITECTURE}."
    for key in header.properties:
        if key.startswith(prefix) and key.removeprefix(prefix) not in _KNOWN_PROPERTIES:
            raise _refused("property", "none of this name", key)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    embedding, heads = _size(header, "embedding_length"), _size(header, "attention.head_count")
    head_size = embedding // heads
    for key in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        if header.properties.get(prefix + key, head_size) != head_size:
            raise _refused(key, head_size, header.properties[prefix + key])
    if "token_embd.weight" not in tensors:
        raise _refused("tensor", "token_embd.weight", "none")
    try:
        shape = ModelShape(
            layers=_size(header, "block_count"),
            embedding=embedding,
            heads=heads,
            kv_heads=_size(header, "attention.head_count_kv"),
            head_size=head_size,
            ffn=_size(header, "feed_forward_length"),
            vocabulary=tensors["token_embd.weight"].rows,
        )
    except TraceShapeInvalid as error:
        raise _refused("shape", error.expected, f"{error.message}, {error.got}") from error
    expected = _tensors(shape)
    for name, (columns, rows, types) in expected.items():
        if name in tensors:
            _require(tensors[name], columns, rows, types)
        elif name != "output.weight":  # without one, the embedding table is used
            raise _refused("tensor", name, "none")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise _refused("tensor", "none of this name", unknown[0])
    return shape


def _tensors(shape: ModelShape) -> dict[str, tuple[int, int, tuple[int, ...]]]:
    """Columns, rows and types of every tensor; types as bytes of 32 values."""
    wide, query = shape.embedding, shape.heads * shape.head_size
    keys = shape.kv_heads * shape.head_size
    layer = {
        "attn_norm": (wide, 1, _VECTOR),
        "attn_q": (wide, query, _MATRIX),
        "attn_k": (wide, keys, _MATRIX),
        "attn_v": (wide, keys, _MATRIX),
        "attn_output": (query, wide, _MATRIX),
        "ffn_norm": (wide, 1, _VECTOR),
        "ffn_gate": (wide, shape.ffn, _MATRIX),
        "ffn_up": (wide, shape.ffn, _MATRIX),
        "ffn_down": (shape.ffn, wide, _MATRIX),
    }
    return {
        "token_embd.weight": (wide, shape.vocabulary, _MATRIX),
        "output_norm.weight": (wide, 1, _VECTOR),
        "output.weight": (wide, shape.vocabulary, _MATRIX),
    } | {
        f"blk.{number}.{name}.weight": values
        for number in range(shape.layers)
        for name, values in layer.items()
    }


def _require(tensor: TensorPlace, columns: int, rows: int, types: tuple[int, ...]) -> None:
    if tensor.rows != rows or columns % _BLOCK:
        raise _refused(f"shape of {tensor.name}", f"{rows} rows", f"{tensor.rows} rows")
    got = tensor.row_bytes * _BLOCK // columns
    if got not in types or tensor.row_bytes * _BLOCK % columns:
        names = " or ".join(_TYPES[one] for one in types)
        raise _refused(f"tensor type of {tensor.name}", names, f"{got} bytes for 32 values")


def _size(header: GgufHeader, key: str) -> int:
    value = header.properties.get(f"{ARCHITECTURE}.{key}")
    if not isinstance(value, int) or value < 1:
        raise _refused(key, "a number, the same for all layers", value)
    return value


def _refused(what: str, expected: object, got: object) -> ModelNotTraceable:
    return ModelNotTraceable(
        f"architecture or tensor type not supported: {what}", expected=expected, got=got
    )


def _product_lanes() -> int:
    """The f32 lanes of ggml's products of f16 matrices (ggml-cpu/llamafile/sgemm.cpp)."""
    said = llama_cpp.llama_print_system_info().decode()
    on = {name.strip(" :") for name, _, value in _pairs(said) if value.strip() == "1"}
    if missing := [name for name in _REQUIRED_SETS if name not in on]:
        raise BuildNotTraceable(
            "this llama.cpp has other arithmetic",
            expected=", ".join(_REQUIRED_SETS),
            got=f"no {', '.join(missing)}",
        )
    return 16 if "AVX512" in on else 8


def _pairs(said: str) -> list[tuple[str, str, str]]:
    """`CPU : SSE3 = 1 | AVX = 1 | `, read as names and values."""
    return [part.rpartition(":")[2].partition("=") for part in said.split("|")]
