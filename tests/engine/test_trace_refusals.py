"""Models and settings that cannot be traced are refused before anything is computed.

Models: copies of the packaged file's header with one thing changed; their weights are a hole in
the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import llama_cpp
import pytest

from platformless.engine.gguf_header import read_header
from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.engine.trace import supported, tensor
from platformless.engine.trace.capture import NodeRows, capture
from platformless.engine.trace.errors import (
    BuildNotTraceable,
    ModelNotTraceable,
    SettingsNotTraceable,
)
from platformless.engine.trace.supported import (
    require_traceable_settings,
    require_whole_vectors,
    traceable_settings,
    traceable_shape,
)
from platformless.protocol.trace.nodes import ModelShape

SETTINGS = traceable_settings(threads=1)
Q4_0, Q4_1, F16, F32 = 2, 3, 1, 0
Edited = Callable[[bytes, bytes], Path]


@pytest.fixture
def edited(model_path: Path, tmp_path: Path) -> Edited:
    """A file with other bytes in its header, as large as the original."""

    def edit(old: bytes, new: bytes) -> Path:
        header = read_header(model_path)
        with model_path.open("rb") as file:
            content = file.read(min(one.offset for one in header.tensors))
        assert content.count(old) == 1
        assert len(old) == len(new)
        copy = tmp_path / "edited.gguf"
        with copy.open("wb") as file:
            file.write(content.replace(old, new))
            file.truncate(model_path.stat().st_size)
        return copy

    return edit


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def tensor_line(name: str, dimensions: tuple[int, ...], kind: int) -> bytes:
    sizes = struct.pack(f"<{len(dimensions)}Q", *dimensions)
    return text(name) + struct.pack("<I", len(dimensions)) + sizes + struct.pack("<I", kind)


def refusal(path: Path) -> str:
    with pytest.raises(ModelNotTraceable) as refused:
        traceable_shape(read_header(path))
    assert refused.value.code == "ENG-501"
    assert "architecture or tensor type not supported" in str(refused.value)
    return str(refused.value)


def test_the_packaged_model_has_its_shape(model_path: Path) -> None:
    assert traceable_shape(read_header(model_path)) == ModelShape(
        layers=30, embedding=576, heads=9, kv_heads=3, head_size=64, ffn=1536, vocabulary=49152
    )


def test_another_architecture_is_refused(edited: Edited) -> None:
    key = text("general.architecture") + struct.pack("<I", 8)
    said = refusal(edited(key + text("llama"), key + text("gemma")))
    assert "expected llama; got gemma" in said


def test_another_type_of_matrix_is_refused(edited: Edited) -> None:
    name, sizes = "blk.3.ffn_up.weight", (576, 1536)
    said = refusal(edited(tensor_line(name, sizes, Q4_1), tensor_line(name, sizes, Q4_0)))
    assert "tensor type of blk.3.ffn_up.weight; expected Q4_1 or Q8_0; got 18 bytes" in said


def test_another_type_of_norm_is_refused(edited: Edited) -> None:
    name = "blk.0.attn_norm.weight"
    said = refusal(edited(tensor_line(name, (576,), F32), tensor_line(name, (576,), F16)))
    assert "tensor type of blk.0.attn_norm.weight; expected F32" in said


def test_a_matrix_of_another_shape_is_refused(edited: Edited) -> None:
    name = "blk.29.attn_k.weight"
    old, new = tensor_line(name, (576, 192), Q4_1), tensor_line(name, (576, 191), Q4_1)
    assert "shape of blk.29.attn_k.weight" in refusal(edited(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("blk.3.ffn_up.weight", "blk.3.ffn_up.biased"),
        ("output_norm.weight", "output_nurm.weight"),
        ("token_embd.weight", "token_embt.weight"),
    ],
)
def test_missing_and_unknown_tensors_are_refused(edited: Edited, old: str, new: str) -> None:
    assert "tensor" in refusal(edited(text(old), text(new)))


def test_a_property_that_may_change_the_graph_is_refused(edited: Edited) -> None:
    said = refusal(edited(text("llama.vocab_size"), text("llama.rope.scale")))
    assert "got llama.rope.scale" in said


def test_another_size_of_rotation_is_refused(edited: Edited) -> None:
    key = text("llama.rope.dimension_count") + struct.pack("<I", 4)
    said = refusal(edited(key + struct.pack("<I", 64), key + struct.pack("<I", 32)))
    assert "rope.dimension_count; expected 64; got 32" in said


def never(_rows: NodeRows) -> None:
    raise AssertionError("something was computed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flash_attention", True),
        ("kv_type", "q8_0"),
        ("kv_type", "f32"),
        ("gpu_layers", 99),
        ("ubatch_tokens", 1),
    ],
)
def test_settings_that_do_not_give_the_same_bits_are_refused(name: str, value: object) -> None:
    with pytest.raises(SettingsNotTraceable, match=name) as refused:
        require_traceable_settings(replace(SETTINGS, **{name: value}))  # type: ignore[arg-type]
    assert refused.value.code == "ENG-502"


@pytest.mark.parametrize(
    ("name", "change"), [("head size", {"head_size": 100}), ("feed", {"ffn": 1540})]
)
def test_rows_that_vectors_do_not_divide_are_refused(name: str, change: dict[str, int]) -> None:
    shape = ModelShape(30, 576, 9, 3, 64, 1536, 49152)
    require_whole_vectors(shape, SETTINGS)
    with pytest.raises(ModelNotTraceable, match=f"not supported: {name}"):
        require_whole_vectors(replace(shape, **change), SETTINGS)


def test_capturing_refuses_before_any_work(model_path: Path, edited: Edited) -> None:
    model = Model.load(EngineSettings(model_path=model_path))
    with pytest.raises(SettingsNotTraceable):
        capture(model, [1, 2, 3], replace(SETTINGS, kv_type="q8_0"), never)
    key = text("general.architecture") + struct.pack("<I", 8)
    model.header = read_header(edited(key + text("llama"), key + text("gemma")))
    with pytest.raises(ModelNotTraceable):
        capture(model, [1, 2, 3], SETTINGS, never)
    model.close()


@pytest.mark.parametrize("changed", [{"llama_build": "another"}, {"product_lanes": 4}])
def test_settings_of_another_llama_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(BuildNotTraceable, match="of another llama") as refused:
        require_traceable_settings(replace(SETTINGS, **changed))  # type: ignore[arg-type]
    assert refused.value.code == "ENG-503"


@pytest.mark.parametrize(
    ("said", "lanes"),
    [
        ("CPU : AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | OPENMP = 1 | ", 8),
        ("CPU : AVX2 = 1 | F16C = 1 | FMA = 1 | AVX512 = 1 | AVX512_VBMI = 1 | ", 16),
        ("CPU : AVX2 = 1 | F16C = 1 | FMA = 1 | AVX512 = 0 | ", 8),
        ("CUDA : ARCHS = 800 | CPU : AVX2 = 1 | F16C = 1 | FMA = 1 | AVX512 = 0 | ", 8),
        ("CPU : AVX = 1 | F16C = 1 | FMA = 1 | ", None),
        ("CPU : NEON = 1 | ARM_FMA = 1 | ", None),
    ],
)
def test_the_arithmetic_of_a_build_is_known_by_its_instruction_sets(
    monkeypatch: pytest.MonkeyPatch, said: str, lanes: int | None
) -> None:
    monkeypatch.setattr(llama_cpp, "llama_print_system_info", lambda: said.encode())
    if lanes is None:
        with pytest.raises(BuildNotTraceable, match="other arithmetic"):
            traceable_settings()
    else:
        assert traceable_settings().product_lanes == lanes


def test_a_library_with_other_tensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor, "_OBJECT_BYTES", 40)
    with pytest.raises(BuildNotTraceable, match="another layout"):
        supported.require_traceable_settings(SETTINGS)
