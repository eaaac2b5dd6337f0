"""Benchmark of traces: `python -m benchmarks.trace`.

A transcript of the packaged model, once as a plain prompt with logits at every position, once
watched without looking, once traced; and the opening of the cells of one challenge. Times are the
best of the rounds, by one thread of llama.cpp. Writes tables (Markdown) and the raw figures (JSON)
to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from platformless.engine.context import Context
from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.engine.trace.capture import NodeRows, capture
from platformless.engine.trace.supported import traceable_settings
from platformless.engine.trace.tracing import Trace, TraceForest, layout_of, open_cells
from platformless.protocol.digests import StateDigest
from platformless.protocol.trace.cells import Population, SampledKind, Span
from platformless.protocol.trace.challenge import Beacon, Draws, challenge
from platformless.protocol.trace.needs import needed_runs

from .machine import machine

RESULTS = Path(__file__).parent / "results"
TEXT = "The old harbour has two lighthouses, and neither of them agrees with the chart of 1911. "
LENGTHS = (64, 268, 512)
UBATCH = 512


@dataclass(frozen=True)
class Figures:
    """Of one transcript; seconds, the best of the rounds."""

    tokens: int
    plain: float
    watched: float
    traced: float
    hashing: float
    """Of `traced`: leaves, trees and root."""
    trace_bytes: int
    leaves: int
    opening: float
    """A second run and the paths of the cells of one challenge."""
    cells: int
    opened_bytes: int
    path_bytes: int


def plain(model: Model, tokens: Sequence[int]) -> float:
    settings = EngineSettings(
        sequences=1, context_tokens=1024, prompt_chunk_tokens=UBATCH, threads=1
    )
    context = Context(model, settings)
    started = time.perf_counter()
    for start in range(0, len(tokens), UBATCH):
        part = tokens[start : start + UBATCH]
        context.decode_marked(0, part, start, [True] * len(part))
        context.logits(0)
    took = time.perf_counter() - started
    context.close()
    return took


def watched(model: Model, tokens: Sequence[int]) -> float:
    settings = traceable_settings(threads=1, ubatch_tokens=UBATCH)
    started = time.perf_counter()
    capture(model, tokens, settings, lambda _rows: None)
    return time.perf_counter() - started


def traced(model: Model, tokens: Sequence[int]) -> tuple[float, float, Trace]:
    """Seconds of all, seconds of hashing, and the trace."""
    settings = traceable_settings(threads=1, ubatch_tokens=UBATCH)
    forest, hashing = TraceForest(layout_of(model, tokens)), 0.0

    def add(rows: NodeRows) -> None:
        nonlocal hashing
        before = time.perf_counter()
        forest.add(rows)
        hashing += time.perf_counter() - before

    started = time.perf_counter()
    capture(model, tokens, settings, add)
    before = time.perf_counter()
    root = forest.root()
    ended = time.perf_counter()
    return (
        ended - started,
        hashing + ended - before,
        Trace(root, layout_of(model, tokens), settings),
    )


def measure(model: Model, length: int, rounds: int) -> Figures:
    tokens = model.vocabulary.tokenize(TEXT * (length // 8))[:length]
    plains, watches, traces, hashes, opens = [], [], [], [], []
    for _ in range(rounds):
        plains.append(plain(model, tokens))
        watches.append(watched(model, tokens))
        took, hashing, found = traced(model, tokens)
        traces.append(took)
        hashes.append(hashing)
    spans = (Span(0, length),)
    plan = [Draws(Population.of(kind, found.layout.shape, spans), 1) for kind in SampledKind]
    beacon = Beacon(sha256(b"benchmark").digest())
    cells = challenge(found.root, StateDigest.zero(), beacon, plan)
    runs = [run for cell in cells for run in needed_runs(found.layout, cell)]
    for _ in range(rounds):
        started = time.perf_counter()
        openings = open_cells(model, tokens, found.settings, runs, found.root)
        opens.append(time.perf_counter() - started)
    return Figures(
        length,
        min(plains),
        min(watches),
        min(traces),
        min(hashes),
        found.layout.counted_bytes,
        found.layout.leaf_count,
        min(opens),
        len(cells),
        sum(len(one.data) for one in openings),
        sum(32 * (len(one.node_path) + len(one.top_path)) for one in openings),
    )


def table(all_figures: list[Figures]) -> str:
    lines = [
        "| tokens | plain prompt | watched | traced | of it hashing | a token | overhead "
        "| bytes a token | leaves a token | bytes in all |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in all_figures:
        lines.append(
            f"| {one.tokens} | {one.plain:.2f} s | {one.watched:.2f} s | {one.traced:.2f} s "
            f"| {one.hashing:.2f} s | {one.hashing / one.tokens * 1e3:.2f} ms "
            f"| {one.traced / one.plain - 1:.0%} | {one.trace_bytes / one.tokens:,.0f} "
            f"| {one.leaves / one.tokens:,.0f} | {one.trace_bytes / 1e6:,.0f} MB |"
        )
    lines += [
        "",
        "| tokens | one challenge | opened | rows | paths | time |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for one in all_figures:
        lines.append(
            f"| {one.tokens} | {one.cells} cells, one of each kind "
            f"| {one.opened_bytes + one.path_bytes:,} B | {one.opened_bytes:,} B "
            f"| {one.path_bytes:,} B | {one.opening:.2f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, nargs="+", default=LENGTHS)
    options = parser.parse_args()
    model = Model.load(EngineSettings())
    all_figures = [measure(model, length, options.rounds) for length in options.tokens]
    model.close()
    settings = traceable_settings(threads=1, ubatch_tokens=UBATCH)
    text = f"{table(all_figures)}\n\n{settings.llama_build}, 1 thread. {machine()}"
    (options.out / "trace.md").write_text(text + "\n")
    (options.out / "trace.json").write_text(
        json.dumps([asdict(one) for one in all_figures], indent=1) + "\n"
    )
    print(text)


if __name__ == "__main__":
    main()
