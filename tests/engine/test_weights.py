"""A model's names: SHA-256 of the file, Merkle root of the rows of its tensors."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.engine import hashing
from platformless.engine import weights as weights_module
from platformless.engine.errors import ModelError, ModelNotFound, ModelUnreadable, NotGguf
from platformless.engine.gguf_header import read_header
from platformless.engine.weights import compute_weights, weights_of
from platformless.protocol.digests import WeightsRoot, tag_block

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
    tag = tag_block("weights-node")
    assert hashing.merkle_root(tag, b"".join(leaves)) == plain_root(leaves)


@given(
    st.lists(st.tuples(st.integers(1, 700), st.integers(0, 40)), min_size=1, max_size=6),
    st.sampled_from([1, 2, 8, 64]),
)
def test_pieces_of_every_size_make_the_same_tree(
    shapes: list[tuple[int, int]], piece_rows: int
) -> None:
    content = hashlib.shake_128(b"rows").digest(sum(size * rows for size, rows in shapes))
    places, leaves, at = [], [], 0
    for index, (size, rows) in enumerate(shapes):
        places.append((size, rows, at))
        for row in range(rows):
            numbers = index.to_bytes(4, "little") + row.to_bytes(4, "little")
            leaves.append(tagged(b"weights-row", numbers + content[at : at + size]))
            at += size
    plan = (tag_block("weights-row"), tag_block("weights-node"), piece_rows, places)
    file = os.memfd_create("rows")
    try:
        os.write(file, content)
        tree = hashing.Tree(file, plan)
        roots = {piece: tree.piece_root(piece) for piece in range(tree.pieces)}
    finally:
        os.close(file)
    assert (tree.rows, tree.pieces) == (len(leaves), -(-len(leaves) // piece_rows))
    if leaves:
        assert tree.root(roots) == plain_root(leaves)


def test_the_numbers_of_all_pieces_fit_a_pipe() -> None:
    for rows in (1, 1024, 1025, 10**6, 1 << 20, (1 << 20) + 1, 10**8):
        size = hashing.piece_rows(rows)
        assert size.bit_count() == 1
        assert -(-rows // size) * hashing.PIECE_NUMBER.size <= 4096


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_helpers_change_nothing(small: Path, model_path: Path, helpers: int) -> None:
    before = children()
    assert str(compute_weights(small, helpers).root) == SMALL_ROOT
    assert str(compute_weights(model_path, helpers).root) == SMOLLM2_ROOT
    assert children() == before  # nobody is left


def children() -> set[str]:
    """The process's children, those that have ended and were not asked for among them."""
    found: set[str] = set()
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            found |= set((thread / "children").read_text().split())
    return found


def test_a_small_file_gets_no_helpers(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert str(compute_weights(small).root) == SMALL_ROOT
    with pytest.raises(ModelUnreadable, match="cannot start"):
        compute_weights(small, 1)


async def test_beside_an_event_loop_and_threads(model_path: Path) -> None:
    both = await asyncio.gather(
        *(asyncio.to_thread(compute_weights, model_path, 1) for _ in range(2))
    )
    assert [str(weights.root) for weights in both] == [SMOLLM2_ROOT] * 2


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
        ("raise OSError('the disk is gone')", "exit status 1: OSError: the disk is gone"),
        ("import marshal, sys; marshal.load(sys.stdin.buffer); sys.exit(3)", "exit status 3"),
    ],
)
def test_a_dead_helper_is_an_error(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    other = tmp_path / "helper.py"
    other.write_text(program)
    monkeypatch.setattr(hashing, "__file__", str(other))
    with pytest.raises(ModelUnreadable, match=said):
        compute_weights(model_path, 2)


def test_helpers_end_with_the_process_that_started_them(model_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from platformless.engine import weights\n"
        "def hang(file): print('hashing', flush=True); time.sleep(60)\n"
        "weights._hash_file = hang\n"
        "weights.compute_weights(Path(sys.argv[1]), 2)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(model_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(process.pid, signal.SIGKILL)
    assert len(children) == 2
    deadline = time.monotonic() + 10
    while any(is_running(int(child)) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_file_that_shrinks_meanwhile_is_refused(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shrink(_file: int) -> bytes:
        os.truncate(small, read_header(small).tensors[-1].end - 1)
        return bytes(32)

    monkeypatch.setattr(weights_module, "_hash_file", shrink)
    with pytest.raises(ModelUnreadable, match="too early"):
        compute_weights(small)


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
