"""Benchmark of a model file's names: `python -m benchmarks.weights`.

The weights root and the file's SHA-256 together, against the plain SHA-256 alone, from the page
cache: of the packaged model (98 MB, rows of 360 to 612 bytes), and of a file made here (600 MB,
rows of 4,096 bytes, as models of 7 billion parameters have). Writes a table (Markdown) and the raw
figures (JSON) to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import gguf
import numpy as np

from platformless.engine.model import packaged_model
from platformless.engine.weights import compute_weights

from .machine import machine

RESULTS = Path(__file__).parent / "results"
ROWS, ROW_VALUES, TENSORS = 4_096, 1_024, 36


@dataclass(frozen=True)
class Figures:
    """Seconds, the best of the rounds."""

    what: str
    file_bytes: int
    rows: int
    plain: float
    names: float


def measure(what: str, path: Path, rounds: int) -> Figures:
    plain, names = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
        plain.append(time.perf_counter() - started)
        started = time.perf_counter()
        weights = compute_weights(path)
        names.append(time.perf_counter() - started)
    return Figures(what, weights.file_bytes, weights.rows, min(plain), min(names))


def write_large(path: Path) -> None:
    """A GGUF file with long rows."""
    writer = gguf.GGUFWriter(path, "llama")
    values = np.random.default_rng(1).random((ROWS, ROW_VALUES), np.float32)
    for number in range(TENSORS):
        writer.add_tensor(f"blk.{number}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def table(all_figures: list[Figures]) -> str:
    lines = [
        "| file | size | rows | plain SHA-256 | all its names | times |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in all_figures:
        lines.append(
            f"| {one.what} | {one.file_bytes / 1e6:.0f} MB | {one.rows:,} | {one.plain:.3f} s "
            f"| {one.names:.3f} s | {one.names / one.plain:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.gguf"
        write_large(large)
        all_figures = [
            measure("SmolLM2-135M Q4_1", packaged_model(), options.rounds),
            measure("made, rows of 4 kB", large, options.rounds),
        ]
    text = f"{table(all_figures)}\n\n{machine()}"
    (options.out / "weights.md").write_text(text + "\n")
    (options.out / "weights.json").write_text(
        json.dumps([asdict(one) for one in all_figures], indent=1) + "\n"
    )
    print(text)


if __name__ == "__main__":
    main()
