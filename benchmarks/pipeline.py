"""Benchmark of the pipeline: `python -m benchmarks.pipeline` (or `make bench-pipeline`).

What it takes for a checkpoint besides the proof, from the job to its confirmation on chain, with
every process as an operator has it; how one prover works off a long queue; and what a job costs in
the ledger as it grows. The prover is a stand-in that takes no time and proves nothing. Writes
tables (Markdown), a plot and the raw figures (JSON) to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib import pyplot

from platformless.chain.devchain import DevChainSettings, start_dev_chain

from . import pipeline_drain, pipeline_growth, pipeline_overhead
from .machine import machine
from .pipeline_drain import Drain
from .pipeline_growth import FOR_PEOPLE, OF_A_JOB, OF_A_ROUND, Growth
from .pipeline_overhead import Overhead, Way

RESULTS = Path(__file__).parent / "results"
MOST_OVERHEAD_MS = 300
MOST_MEMORY_GROWTH = 0.03
MOST_COST_GROWTH = 1.25
AS_OPERATED = Way("as operated: broker asked every 100 ms, chain every second")
WAYS = (
    AS_OPERATED,
    Way("broker asked every 20 ms", poll_seconds=0.02),
    Way("and chain every 100 ms", poll_seconds=0.02, chain_poll_seconds=0.1),
)


@dataclass(frozen=True)
class Figures:
    overhead: list[Overhead]
    drain: Drain
    growth: list[Growth]


def aims(figures: Figures) -> str:
    """What was aimed at, and whether it was reached."""
    overhead = statistics.median(milliseconds(figures.overhead[0]))
    drain = figures.drain
    first, last = drain.resident_mib(0, 0.1), drain.resident_mib(0.9, 1)
    small, large = figures.growth[0], figures.growth[-1]
    proven = drain.states.get("proven", 0)
    rows = (
        (
            f"overhead for a checkpoint, median: under {MOST_OVERHEAD_MS} ms",
            f"{overhead:.0f} ms",
            overhead < MOST_OVERHEAD_MS,
        ),
        (
            f"{drain.jobs:,} queued jobs: all proven, once each",
            f"{proven:,} proven by {drain.attempts:,} attempts, {drain.jobs_per_second:.0f} jobs/s",
            proven == drain.attempts == drain.jobs,
        ),
        (
            "memory of the prover's process meanwhile: flat",
            f"{first:.1f} MiB in the first tenth, {last:.1f} MiB in the last "
            f"({last / first - 1:+.1%})",
            last / first - 1 < MOST_MEMORY_GROWTH,
        ),
        (
            "its open files, at most, in the first and the last tenth: as many",
            f"{drain.descriptors(0, 0.1)}, {drain.descriptors(0.9, 1)}",
            drain.descriptors(0.9, 1) <= drain.descriptors(0, 0.1) + 4,
        ),
        (
            f"work in the ledger for a job, {large.finished:,} jobs against {small.finished:,}: "
            "constant",
            f"{large.job_ms:.1f} ms against {small.job_ms:.1f} ms "
            f"({large.job_ms / small.job_ms:.2f} times)",
            large.job_ms / small.job_ms < MOST_COST_GROWTH,
        ),
    )
    lines = ["| aim | measured | reached |", "|---|---|---|"]
    lines += [f"| {aim} | {got} | {'yes' if met else '**no**'} |" for aim, got, met in rows]
    return "\n".join(lines)


def milliseconds(overhead: Overhead) -> list[int]:
    return [one.overhead for one in overhead.passages]


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def overhead_table(overheads: list[Overhead]) -> str:
    """Milliseconds of each step; median and 95 %."""
    steps = list(overheads[0].passages[0].steps)
    lines = [
        "| ms, median (95 %) | " + " | ".join(one.way.name for one in overheads) + " |",
        "|---" + "|---:" * len(overheads) + "|",
    ]

    def add(name: str, values: list[list[int]]) -> None:
        cells = [f"{statistics.median(one):.0f} ({percentile(one, 95):.0f})" for one in values]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    add("**from job to confirmed, without the proof**", [milliseconds(one) for one in overheads])
    for step in steps:
        add(step, [[passage.steps[step] for passage in one.passages] for one in overheads])
    for worker in overheads[0].busy_cpu_ms:
        cells = [f"{one.busy_cpu_ms[worker]:.0f}" for one in overheads]
        lines.append(f"| CPU of {worker} for a checkpoint | " + " | ".join(cells) + " |")
        cells = [f"{one.idle_cpu[worker]:.1%}" for one in overheads]
        lines.append(f"| CPU of {worker}, idle, of one core | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def growth_table(growth: list[Growth]) -> str:
    """Milliseconds of each operation, by the jobs that are done."""
    lines = [
        "| ms, median | " + " | ".join(f"{one.finished:,} jobs" for one in growth) + " | times |",
        "|---" + "|---:" * (len(growth) + 1) + "|",
    ]

    def add(name: str, values: list[float]) -> None:
        cells = [f"{value:.2f}" for value in values]
        ratio = f"{values[-1] / values[0]:.2f}"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {ratio} |")

    add("**one job, work**", [one.job_ms for one in growth])
    add("one job, with commits", [one.job_with_commit_ms for one in growth])
    for name in (*OF_A_JOB, *OF_A_ROUND, *FOR_PEOPLE):
        add(name, [one.work_ms[name] for one in growth])
    add("database, bytes a job", [one.bytes_each for one in growth])
    return "\n".join(lines)


def notes(figures: Figures) -> str:
    overhead, drain = figures.overhead[0], figures.drain
    return (
        f"Overhead: {len(overhead.passages)} checkpoints of {pipeline_overhead.SESSIONS} sessions, "
        "one at a time, each when the one before is confirmed. Valkey, portal, anvil, prover and "
        "settlement are processes of their own; the chain mines at once, and one confirmation is "
        "final. Waiting is from the end of one step to the beginning of the next, as the ledger "
        "tells.\n\n"
        f"Queue: {drain.jobs:,} jobs in ledger and broker, one prover. The worker took "
        f"{1000 * drain.cpu_seconds / drain.jobs:.1f} ms of CPU for a job, "
        f"{1000 * drain.seconds / drain.jobs:.1f} ms in all.\n\n"
        "Ledger: SQLite; ledgers of all sizes by turns. One job: everything from its claim to its "
        "confirmation, in transactions of their own, and one round's questions. Work: within the "
        "transactions; with commits: until it is on the disk. "
        f"{pipeline_growth.WAITING} other jobs are in each open state. `open_sessions` and "
        "`settled_sessions` are asked once a minute; `newest` and `counts` by people and metrics."
    )


def plot(figures: Figures, path: Path) -> None:
    figure, (cost, memory) = pyplot.subplots(1, 2, figsize=(10, 4))
    sizes = [one.finished for one in figures.growth]
    cost.plot(sizes, [one.job_ms for one in figures.growth], marker="o", label="work")
    with_commits = [one.job_with_commit_ms for one in figures.growth]
    cost.plot(sizes, with_commits, marker="s", label="with commits")
    cost.set(xscale="log", xlabel="jobs in the ledger", ylabel="ms a job")
    cost.set_ylim(0, 1.2 * max(with_commits))
    cost.legend()
    samples = figures.drain.samples
    resident = [one.resident_bytes / 2**20 for one in samples]
    memory.plot([one.proven for one in samples], resident)
    memory.set(xlabel="jobs proven", ylabel="resident MiB of the prover")
    memory.set_ylim(0, 1.2 * max(resident))
    for axis in (cost, memory):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


async def run(options: argparse.Namespace) -> Figures:
    overheads = []
    # Short paths: sockets are in these folders.
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        growth = pipeline_growth.measure(Path(folder), sizes(options.largest), options.timed)
    with await start_dev_chain(DevChainSettings(block_seconds=None)) as dev_chain:
        for way in WAYS:
            with tempfile.TemporaryDirectory(prefix="way-") as folder:
                overheads.append(
                    await pipeline_overhead.measure(
                        dev_chain, Path(folder), way, options.checkpoints
                    )
                )
        with tempfile.TemporaryDirectory(prefix="drain-") as folder:
            drain = await pipeline_drain.measure(dev_chain, Path(folder), options.jobs)
    return Figures(overheads, drain, growth)


def sizes(largest: int) -> list[int]:
    """A thousand, ten thousand, and so on."""
    return [10**power for power in range(3, 10) if 10**power <= largest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--jobs", type=int, default=10_000, help="in the long queue")
    parser.add_argument("--checkpoints", type=int, default=60, help="one after another")
    parser.add_argument("--largest", type=int, default=1_000_000, help="jobs in the ledger")
    parser.add_argument("--timed", type=int, default=200, help="jobs timed at each size")
    parser.add_argument("--quick", action="store_true", help="a smoke test; figures say little")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.checkpoints = 200, 6
        options.largest, options.timed = 10_000, 20
    figures = asyncio.run(run(options))
    text = "\n\n".join(
        (
            aims(figures),
            overhead_table(figures.overhead),
            growth_table(figures.growth),
            notes(figures),
            machine(),
        )
    )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "pipeline.md").write_text(text + "\n")
    (options.out / "pipeline.json").write_text(json.dumps(asdict(figures), indent=1) + "\n")
    plot(figures, options.out / "pipeline.png")
    print(text)


if __name__ == "__main__":
    main()
