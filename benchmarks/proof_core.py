"""Benchmark of the proof core: `python -m benchmarks.proof_core` (or `make bench`).

For checkpoints of 100 to 16,000 completion tokens: cycles in the guest, size of the segment,
time and memory to prove, size of the bundle, time to verify. Writes a table (Markdown), the raw
figures (JSON) and a plot (PNG) to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl

from platformless.audit.sandbox import Verifier, released_verifier
from platformless.audit.verify import verify_bundle
from platformless.prover.binary import find_prover
from platformless.prover.process import StarkProver
from platformless.prover.proof import prove_window
from tests.samples import window_of

from .machine import machine

mpl.use("Agg")
from matplotlib import pyplot

RESULTS = Path(__file__).parent / "results"
SIZES = ((100, 1), (1000, 8), (4000, 10), (16000, 20))
"""Completion tokens, and turns that they are spread over."""
VERIFY_RUNS = 15


@dataclass(frozen=True)
class Row:
    tokens: int
    turns: int
    user_cycles: int
    paging_cycles: int
    segment_po2: list[int]
    prove_seconds: float
    peak_memory_mib: float
    bundle_bytes: int
    verify_ms: float
    fuel_per_receipt_byte: float
    verifier_memory_mib: float

    @property
    def cycles_per_token(self) -> float:
        return (self.user_cycles + self.paging_cycles) / self.tokens


async def measure(tokens: int, turns: int, verifier: Verifier) -> Row:
    """One proof in a process of its own, so that the peak of memory is its own."""
    window = window_of(tokens, turns)
    async with StarkProver(find_prover()) as prover:
        report = await prove_window(prover, window)
    times = []
    for _ in range(VERIFY_RUNS):
        began = time.perf_counter()
        verification = verify_bundle(report.data, verifier=verifier)
        times.append(1000 * (time.perf_counter() - began))
    return Row(
        tokens=tokens,
        turns=turns,
        user_cycles=report.proof.user_cycles,
        paging_cycles=report.proof.paging_cycles,
        segment_po2=report.proof.segment_po2,
        prove_seconds=report.proof.prove_seconds,
        peak_memory_mib=report.proof.peak_memory_bytes / 2**20,
        bundle_bytes=len(report.data),
        verify_ms=statistics.median(times),
        fuel_per_receipt_byte=verification.fuel / len(report.bundle.receipt),
        verifier_memory_mib=verification.verifier_memory_bytes / 2**20,
    )


def load_seconds(home: Path | None = None) -> float:
    """Median time that a new process takes to load the verifier, its imports not counted."""
    script = (
        "import time; from platformless.audit.sandbox import released_verifier as load; "
        "began = time.perf_counter(); load(); print(time.perf_counter() - began)"
    )
    environment = {
        **os.environ,
        **({"HOME": str(home), "XDG_CACHE_HOME": str(home)} if home else {}),
    }
    return float(
        subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        ).stdout
    )


def table(rows: list[Row]) -> str:
    lines = [
        "| completion tokens | turns | user cycles | paging cycles | cycles a token | segment po2 "
        "| prove, s | peak memory, MiB | bundle, bytes | verify, ms |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.tokens:,} | {row.turns} | {row.user_cycles:,} | {row.paging_cycles:,} "
        f"| {row.cycles_per_token:.1f} | {', '.join(map(str, row.segment_po2))} "
        f"| {row.prove_seconds:.1f} | {row.peak_memory_mib:.0f} | {row.bundle_bytes:,} "
        f"| {row.verify_ms:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def plot(rows: list[Row], path: Path) -> None:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    tokens = [row.tokens for row in rows]
    left.plot(tokens, [row.user_cycles + row.paging_cycles for row in rows], marker="o")
    left.set(xscale="log", yscale="log", ylabel="guest cycles (user and paging)")
    right.plot(tokens, [row.prove_seconds for row in rows], marker="o")
    for row in rows:
        right.annotate(
            f"2^{max(row.segment_po2)}",
            (row.tokens, row.prove_seconds),
            textcoords="offset points",
            xytext=(0, 6),
        )
    right.set(xscale="log", ylabel="seconds to prove")
    for axis in (left, right):
        axis.set_xlabel("completion tokens in the checkpoint")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    with tempfile.TemporaryDirectory() as empty:
        compile_seconds = load_seconds(Path(empty))
    released_verifier()
    start_seconds = statistics.median(load_seconds() for _ in range(5))
    verifier = released_verifier()
    rows = []
    for tokens, turns in SIZES:
        row = asyncio.run(measure(tokens, turns, verifier))
        rows.append(row)
        print(f"{tokens} tokens: {row.prove_seconds:.1f} s", file=sys.stderr)

    text = "\n".join(
        (
            table(rows),
            "",
            f"Loading the verifier: {1000 * start_seconds:.0f} ms in a new process, "
            f"{1000 * compile_seconds:.0f} ms the first time ever (it is compiled then). "
            f"Memory of an instance: {max(row.verifier_memory_mib for row in rows):.1f} MiB; "
            f"at most {max(row.fuel_per_receipt_byte for row in rows):,.0f} instructions a byte "
            "of receipt.",
            "",
            machine(),
        )
    )
    (arguments.out / "proof_core.md").write_text(text + "\n")
    (arguments.out / "proof_core.json").write_text(
        json.dumps([asdict(row) for row in rows], indent=1) + "\n"
    )
    plot(rows, arguments.out / "proof_core.png")
    print(text)


if __name__ == "__main__":
    main()
