"""A model's names: SHA-256 of the file, Merkle root of the rows of its tensors."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.engine import weights as weights_module
from platformless.engine.errors import ModelError, ModelNotFound, NotGguf
from platformless.engine.gguf_header import read_header
from platformless.engine.weights import compute_weights, merkle_root, weights_of
from platformless.protocol.digests import WeightsRoot

SMALL_ROOT = "0x963c2c1c6734b3768cdce9f86a91d3da02c7f27bae004bf464865f42b672ebc7"
SMOLLM2_ROOT = "0x709ac459a99503583943f503a59bfa17cb62b3777897aad1bdafe07408e0972f"


def tagged(tag: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(b"platformless-ai/v1/" + tag.ljust(45, b"\0") + payload).digest()


def plain_root(leaves: list[bytes]) -> bytes:
    """The rule read aloud: pair, carry the odd one, repeat."""
    if len(leaves) == 1:
        return leaves[0]
    above = []
    for at in range(0, len(leaves), 2):
        pair = leaves[at : at + 2]
        above.append(tagged(b"weights-node", b"".join(pair)) if len(pair) == 2 else pair[0])
    return plain_root(above)


def plain_root_of_file(path: Path) -> tuple[bytes, int]:
    """By the `gguf` package's reader, row by row."""
    leaves = []
    for index, tensor in enumerate(gguf.GGUFReader(path).tensors):
        rows = int(np.prod(tensor.shape[1:], dtype=np.int64))
        data = tensor.data.tobytes()
        size = len(data) // rows
        for row in range(rows):
            numbers = index.to_bytes(4, "little") + row.to_bytes(4, "little")
            leaves.append(tagged(b"weights-row", numbers + data[row * size : (row + 1) * size]))
    return plain_root(leaves), len(leaves)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Tensors of one, two and three dimensions, one of them quantised: 1 + 3 + 6 + 1 rows."""
    path = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_token_list([f"token {n}" for n in range(100)])
    writer.add_tensor("vector", np.arange(5, dtype=np.float32))
    writer.add_tensor("matrix", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("experts", np.arange(24, dtype=np.float16).reshape(2, 3, 4))
    block = np.arange(34, dtype=np.uint8).reshape(1, 34)
    writer.add_tensor("blocks", block, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_small_file_by_hand(small: Path) -> None:
    got = compute_weights(small)
    root, rows = plain_root_of_file(small)
    assert (got.rows, got.tensors) == (rows, 4) == (11, 4)
    assert got.root.value == root
    assert str(got.root) == SMALL_ROOT
    assert got.file_sha256 == hashlib.sha256(small.read_bytes()).digest()
    assert got.file_bytes == small.stat().st_size


def test_the_real_model_row_by_row(model_path: Path) -> None:
    got = compute_weights(model_path)
    root, rows = plain_root_of_file(model_path)
    assert (got.root, got.rows) == (WeightsRoot(root), rows)
    assert str(got.root) == SMOLLM2_ROOT
    assert got.file_sha256 == hashlib.sha256(model_path.read_bytes()).digest()


@given(st.integers(1, 70))
def test_trees_of_every_size(count: int) -> None:
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(count)]
    assert merkle_root(b"".join(leaves)) == plain_root(leaves)


def test_every_byte_of_a_row_counts(small: Path) -> None:
    before = compute_weights(small).root
    tensor = read_header(small).tensors[2]
    for at in (tensor.offset, tensor.end - 1):
        content = bytearray(small.read_bytes())
        content[at] ^= 1
        small.write_bytes(content)
        after = compute_weights(small).root
        assert after != before
        before = after


def test_the_cache_knows_a_file_until_it_changes(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLATFORMLESS_CACHE", str(tmp_path / "cache"))
    computed = []

    def compute(path: Path) -> weights_module.Weights:
        computed.append(path)
        return compute_weights(path)

    monkeypatch.setattr(weights_module, "compute_weights", compute)
    first = weights_of(small)
    assert weights_of(small) == first
    assert len(computed) == 1
    os.utime(small, ns=(1, 1))
    assert weights_of(small) == first
    assert len(computed) == 2
    for entry in (tmp_path / "cache" / "weights").iterdir():
        entry.write_bytes(b"{}")
    assert weights_of(small) == first
    assert len(computed) == 3


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        weights_of(tmp_path / "absent.gguf")
    other = tmp_path / "other"
    other.write_bytes(b"not a model at all")
    with pytest.raises(NotGguf):
        weights_of(other)
    with pytest.raises(ModelError):
        weights_of(tmp_path)
    other.write_bytes(b"GGUF\x01\0\0\0" + bytes(16))
    with pytest.raises(NotGguf, match="version"):
        read_header(other)


def test_a_file_cut_short_anywhere_is_refused(small: Path, tmp_path: Path) -> None:
    content = small.read_bytes()
    last = max(tensor.end for tensor in read_header(small).tensors)
    cut = tmp_path / "cut.gguf"
    for size in (*range(400), *range(400, last, 97), last - 1):
        cut.write_bytes(content[:size])
        with pytest.raises(NotGguf):
            read_header(cut)


def test_a_damaged_header_never_does_harm(small: Path, tmp_path: Path) -> None:
    content = small.read_bytes()
    damaged = tmp_path / "damaged.gguf"
    for at in range(4, 500):
        changed = bytearray(content)
        changed[at] ^= 0xFF
        damaged.write_bytes(changed)
        with suppress(NotGguf):
            read_header(damaged)
