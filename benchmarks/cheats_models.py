"""Model files that a cheating host runs instead of the registered one; llama.cpp loads them all.

Each is the packaged model with some Q4_1 matrices changed in place: same type, same shape.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from platformless.engine.gguf_header import read_header
from platformless.engine.model import packaged_model

Blocks = npt.NDArray[np.uint8]
"""Of one matrix: [rows, blocks, 20 bytes]."""
LAYERS = 30
LAYER = 15
"""Where cheats touch one layer."""
HEAD, HEAD_BLOCKS = 4, 2
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_BLOCK_BYTES = 20


def coarser(folder: Path) -> Path:
    """Every matrix of every layer with 8 values a block in place of 16."""

    def change(blocks: Blocks) -> None:
        d = blocks[..., :2].copy().view(np.float16)
        blocks[..., :2] = (d.astype(np.float32) * (15 / 7)).astype(np.float16).view(np.uint8)
        _set_values(blocks, np.rint(_values(blocks) * (7 / 15)))

    return _changed(folder / "coarser.gguf", _all(range(LAYERS)), change)


def perturbed(folder: Path, share: float = 0.01) -> Path:
    """Every matrix with a share of its values one step off: stands for another fine-tune."""
    rng = np.random.default_rng(10)

    def change(blocks: Blocks) -> None:
        values = _values(blocks)
        step = np.where(rng.random(values.shape) < 0.5, -1, 1)
        off = np.clip(values + np.where(rng.random(values.shape) < share, step, 0), 0, 15)
        _set_values(blocks, off)

    return _changed(folder / "perturbed.gguf", _all(range(LAYERS)), change)


def skipped(folder: Path) -> Path:
    """One layer whose two outputs are zero: the residual stream passes it."""

    def change(blocks: Blocks) -> None:
        blocks[:] = 0

    names = [f"blk.{LAYER}.{name}" for name in ("attn_output", "ffn_down")]
    return _changed(folder / "skipped.gguf", names, change)


def headless(folder: Path) -> Path:
    """One head that counts for nothing: its columns of the output projection are zero."""

    def change(blocks: Blocks) -> None:
        blocks[:, HEAD * HEAD_BLOCKS : (HEAD + 1) * HEAD_BLOCKS] = 0

    return _changed(folder / "headless.gguf", [f"blk.{LAYER}.attn_output"], change)


def replaced(folder: Path) -> Path:
    """One matrix that is the next layer's."""
    path = packaged_model()
    places = {one.name: one for one in read_header(path).tensors}
    other = places[f"blk.{LAYER + 1}.ffn_up.weight"]
    data = np.memmap(path, np.uint8, "r")[other.offset : other.end]

    def change(blocks: Blocks) -> None:
        blocks[:] = data.reshape(blocks.shape)

    return _changed(folder / "replaced.gguf", [f"blk.{LAYER}.ffn_up"], change)


def _all(layers: Iterable[int]) -> list[str]:
    return [f"blk.{layer}.{name}" for layer in layers for name in MATRICES]


def _changed(path: Path, names: Iterable[str], change: Callable[[Blocks], None]) -> Path:
    shutil.copyfile(packaged_model(), path)
    path.chmod(0o600)
    places = {one.name: one for one in read_header(path).tensors}
    content = np.memmap(path, np.uint8, "r+")
    for name in names:
        place = places[f"{name}.weight"]
        change(content[place.offset : place.end].reshape(place.rows, -1, _BLOCK_BYTES))
    content.flush()
    return path


def _values(blocks: Blocks) -> npt.NDArray[np.int64]:
    packed = blocks[..., 4:].astype(np.int64)
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def _set_values(blocks: Blocks, values: npt.NDArray[np.number]) -> None:
    whole = values.astype(np.uint8)
    blocks[..., 4:] = whole[..., :16] | whole[..., 16:] << 4
