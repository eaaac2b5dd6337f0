"""Benchmark of sampled cells: `python -m benchmarks.sample`.

A transcript of the packaged model is traced; cells of each kind alone, and of all kinds mixed, are
opened, and the guest `sample` is executed on them. Cycles are exact and the same on every machine.
The committed proof of a cell of each kind (`tests/data/sampled.bundle`) is verified; with `--prove`
one is made. Writes tables (Markdown) and the raw figures (JSON) to `benchmarks/results/`.

    --tokens N   of the transcript
    --prove      one cell of each kind: a quarter of an hour or more on two cores, and 10 GB
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.engine.trace.supported import traceable_settings
from platformless.engine.trace.tracing import open_cells, trace
from platformless.engine.weights_opening import WeightsTree
from platformless.protocol.bundle import Bundle
from platformless.protocol.digests import Address, ModelId, Salt, Seed
from platformless.protocol.header import SessionHeader
from platformless.protocol.sample.context import Context
from platformless.protocol.sample.detection import detection
from platformless.protocol.sample.plan import COVERED_KINDS, OPERATION_OF, SamplePlan
from platformless.protocol.sample.witness import Sampling, sample_witness
from platformless.protocol.terms import SessionTerms
from platformless.protocol.trace.cells import Span
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.transcript import Entry, Kind, State
from platformless.prover.binary import find_prover
from platformless.prover.messages import Execution
from platformless.prover.process import StarkProver
from platformless.prover.sample import prove_sample, sampling_of, verify_sample_receipt

from .machine import machine

RESULTS = Path(__file__).parent / "results"
PROGRAM = Path(__file__).parents[1] / "guest" / "elf" / "sample.bin"
TEXT = "The old harbour has two lighthouses, and neither of them agrees with the chart of 1911. "
MEMORY_BYTES = 11 << 30
"""Holds a segment of 2^20 cycles."""
ALONE = (1, 17)
"""Cells of a kind: the difference is what a cell costs besides what a run costs."""
MIXED = (4, 8, 12, 16, 21, 32, 42, 64)
PROVEN = 21
COMMITTED = Path(__file__).parents[1] / "tests" / "data" / "sampled.bundle"
VERIFIED_TIMES = 5
FRACTIONS = (0.01, 1 / 30, 0.1, 0.3)


@dataclass(frozen=True)
class KindFigures:
    kind: str
    operation: str
    cycles: int
    """Of a cell, on average over the draws; paging included."""
    witness_bytes: int


@dataclass(frozen=True)
class MixedFigures:
    cells: int
    user_cycles: int
    paging_cycles: int
    segment_po2: tuple[int, ...]
    witness_bytes: int


@dataclass(frozen=True)
class ProvenFigures:
    """Of one proof."""

    cells: int
    segments: int
    padded_cycles: int
    prove_seconds: float
    peak_memory_bytes: int
    bundle_bytes: int


def committed(model: Model, tree: WeightsTree, length: int) -> Sampling:
    """A traced transcript; its plan is replaced."""
    tokens = model.vocabulary.tokenize(TEXT * (length // 8))[:length]
    terms = SessionTerms(
        1,
        Address(b"\1" * 20),
        1,
        Address(b"\2" * 20),
        Address(b"\3" * 20),
        ModelId(b"\4" * 32),
        tree.root,
        1000,
    )
    header = SessionHeader(terms, Seed.zero(), Salt(b"\5" * 32))
    asked = length // 5
    entries = (
        Entry(Kind.PROMPT, tokens[:asked], "asked"),
        Entry(Kind.COMPLETION, tokens[asked:], "answered"),
    )
    context = Context(header, State.initial(header), entries)
    settings = traceable_settings(threads=1)
    root = trace(model, tokens, settings).root
    beacon = Beacon(sha256(b"benchmark").digest())
    plan = SamplePlan.even(21, Span(0, length))
    return sampling_of(model, context, root, settings, 1, beacon, plan)


def witnesses(model: Model, tree: WeightsTree, all_of: Iterable[Sampling]) -> list[bytes]:
    """All from one run of the model."""
    samplings = tuple(all_of)
    first = samplings[0]
    runs = tuple(dict.fromkeys(run for one in samplings for run in one.runs()))
    tokens, settings = first.context.tokens, first.settings
    openings = open_cells(model, tokens, settings, runs, first.trace_root)
    rows = tree.open(dict.fromkeys(row for one in samplings for row in one.weight_rows()))
    return [sample_witness(one, openings, rows) for one in samplings]


async def measure(
    base: Sampling, model: Model, tree: WeightsTree, *, prove: bool
) -> dict[str, object]:
    span = base.plan.covered
    plans = [SamplePlan.of({kind: count}, span) for kind in COVERED_KINDS for count in ALONE]
    plans += [SamplePlan.even(cells, span) for cells in MIXED]
    samplings = [replace(base, plan=plan) for plan in plans]
    given = witnesses(model, tree, samplings)
    runs: list[Execution] = []
    async with StarkProver(find_prover()) as prover:
        for sampling, witness in zip(samplings, given, strict=True):
            run = await prover.execute(
                witness, program_path=PROGRAM, memory_bytes=MEMORY_BYTES, deadline_seconds=600
            )
            if run.journal != sampling.claim().encode().hex():
                raise SystemExit("the guest published another claim")
            runs.append(run)
    kinds = []
    few, many = ALONE
    for number, kind in enumerate(COVERED_KINDS):
        one, more = runs[2 * number : 2 * number + 2]
        short, long = (len(w) for w in given[2 * number : 2 * number + 2])
        cycles = more.user_cycles + more.paging_cycles - one.user_cycles - one.paging_cycles
        kinds.append(
            KindFigures(
                kind.name,
                OPERATION_OF[kind].name,
                cycles // (many - few),
                (long - short) // (many - few),
            )
        )
        proven = []
        if prove:
            number = 2 * len(COVERED_KINDS) + MIXED.index(PROVEN)
            proven = [await proven_figures(prover, samplings[number], given[number])]
    first = 2 * len(COVERED_KINDS)
    mixed = [
        MixedFigures(
            cells, run.user_cycles, run.paging_cycles, tuple(run.segment_po2), len(witness)
        )
        for cells, run, witness in zip(MIXED, runs[first:], given[first:], strict=True)
    ]
    return {
        "tokens": len(base.context.tokens),
        "image_id": runs[0].image_id,
        "kinds": [asdict(one) for one in kinds],
        "mixed": [asdict(one) for one in mixed],
        "proven": [asdict(one) for one in proven],
        "committed": {"bytes": COMMITTED.stat().st_size, "verify_seconds": verified_in()},
        "machine": machine(),
    }


async def proven_figures(prover: StarkProver, sampling: Sampling, witness: bytes) -> ProvenFigures:
    made = await prove_sample(prover, sampling, witness, memory_bytes=MEMORY_BYTES)
    return ProvenFigures(
        cells=sampling.plan.cells,
        segments=made.proof.segments,
        padded_cycles=made.proof.total_cycles,
        prove_seconds=made.proof.prove_seconds,
        peak_memory_bytes=made.proof.peak_memory_bytes,
        bundle_bytes=len(made.data),
    )


def verified_in() -> float:
    """The committed proof: the best of several times."""
    bundle, times = Bundle.decode(COMMITTED.read_bytes()), []
    for _ in range(VERIFIED_TIMES):
        began = time.perf_counter()
        verify_sample_receipt(bundle.receipt, bundle.journal)
        times.append(time.perf_counter() - began)
    return min(times)


def table(figures: dict[str, object]) -> str:
    kinds: list[dict[str, object]] = figures["kinds"]  # type: ignore[assignment]
    mixed: list[dict[str, object]] = figures["mixed"]  # type: ignore[assignment]
    proven: list[dict[str, float]] = figures["proven"]  # type: ignore[assignment]
    lines = [
        f"{figures['tokens']} tokens, guest {str(figures['image_id'])[:16]}…",
        "",
        "| kind | operation | cycles a cell | witness, bytes a cell |",
        "|---|---|---:|---:|",
    ]
    lines += [
        f"| {one['kind']} | {str(one['operation']).lower()} | {one['cycles']:,} "
        f"| {one['witness_bytes']:,} |"
        for one in kinds
    ]
    lines += [
        "",
        "| mixed cells | user cycles | paging cycles | segments | witness, bytes |",
        "|---:|---:|---:|---|---:|",
    ]
    for one in mixed:
        segments = ", ".join(f"2^{po2}" for po2 in one["segment_po2"])  # type: ignore[attr-defined]
        lines.append(
            f"| {one['cells']} | {one['user_cycles']:,} | {one['paging_cycles']:,} | {segments} "
            f"| {one['witness_bytes']:,} |"
        )
    committed: dict[str, float] = figures["committed"]  # type: ignore[assignment]
    lines += [
        "",
        f"The committed proof, one cell of each kind, {committed['bytes']:,} bytes: verified in "
        f"{1000 * committed['verify_seconds']:.0f} ms.",
    ]
    if proven:
        lines += [
            "",
            "| proven cells | segments | padded cycles | prove, s | memory, MiB | bundle, bytes |",
            "|---:|---:|---:|---:|---:|---:|",
        ]
    lines += [
        f"| {one['cells']} | {one['segments']} | {one['padded_cycles']:,} "
        f"| {one['prove_seconds']:,.0f} | {one['peak_memory_bytes'] / 2**20:,.0f} "
        f"| {one['bundle_bytes']:,} |"
        for one in proven
    ]
    lines += [
        "",
        "| draws of a kind | " + " | ".join(f"{f:.1%} deviate" for f in FRACTIONS) + " |",
        "|---:|" + "---:|" * len(FRACTIONS),
    ]
    lines += [
        f"| {k} | " + " | ".join(f"{detection(f, k):.1%}" for f in FRACTIONS) + " |"
        for k in (1, 2, 4, 8, 16, 32, 64, 128)
    ]
    lines += ["", str(figures["machine"])]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=268)
    parser.add_argument("--prove", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    model = Model.load(EngineSettings(threads=1))
    tree = WeightsTree(model.path, model.header)
    base = committed(model, tree, options.tokens)
    figures = asyncio.run(measure(base, model, tree, prove=options.prove))
    model.close()
    (options.out / "sample.json").write_text(json.dumps(figures, indent=1) + "\n")
    (options.out / "sample.md").write_text(table(figures) + "\n")
    print(table(figures))


if __name__ == "__main__":
    main()
