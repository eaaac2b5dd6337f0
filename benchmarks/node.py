"""Benchmark of the node: `python -m benchmarks.node`.

What clients get through WebSocket, encryption and metering, against bare llama-cpp-python (its
high-level `Llama`) and against the engine alone, on the same prompts, greedy. Each is a process of
its own, and so are the clients; the sessions are paid for on a dev chain. In every round each
kind runs once, one after another, so that what else the machine does falls on all of them. With
raw `llama_decode` beside it: the most that batching can give. And the memory of idle sessions.
Writes a table (Markdown), a plot and the raw figures (JSON) to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from matplotlib import pyplot

from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.engine.chat import ChatFormat
from platformless.engine.model import Model
from platformless.engine.settings import EngineSettings
from platformless.protocol.prompt import ChatMessage
from tests.chain.world import World
from tests.node.world import NodeWorld

from .alone import CONTEXT, Run, run_of
from .lines import LineProcess
from .machine import machine
from .node_client import ClientProcess
from .node_process import NodeProcess

RESULTS = Path(__file__).parent / "results"
COMPANIES = (1, 4, 8)
BATCHES = (1, 2, 4, 8)
SUBJECTS = ("the sea", "a lighthouse", "bees", "trains", "snow", "a market", "maps", "bread")
PROMPTS = tuple(f"Write a long story about {subject}." for subject in SUBJECTS)
WARM_SESSIONS = 30
IDLE_SESSIONS = 300
IDLE_TOKENS = 8
MOST_OVERHEAD = 0.03
MOST_ADDED_MS = 10.0
LEAST_SPEED_UP = 2.0
MOST_IDLE_KB = 200.0


@dataclass
class Runs:
    """With so many threads: of each kind, the runs by answers at once; one run a round."""

    threads: int
    tokens: int
    bare: list[Run] = field(default_factory=list)
    engine: dict[int, list[Run]] = field(default_factory=lambda: {n: [] for n in COMPANIES})
    node: dict[int, list[Run]] = field(default_factory=lambda: {n: [] for n in COMPANIES})
    raw: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in BATCHES})
    """Tokens per second of `llama_decode` alone, by sequences in a batch."""
    loop_us: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in COMPANIES})
    """CPU time of the node's event loop for a token: everything from prompt to `stream_end`."""
    same_tokens: bool = True
    """Whether node, engine and bare llama.cpp gave the same tokens."""

    @property
    def overheads(self) -> list[float]:
        """Of the node, against bare llama.cpp in the same round."""
        return lost(self.bare, self.node[1])

    @property
    def engine_overheads(self) -> list[float]:
        return lost(self.bare, self.engine[1])

    @property
    def added_ms(self) -> list[float]:
        """What the node adds to the time to the first token of bare llama.cpp."""
        return later(self.bare, self.node[1])

    @property
    def engine_added_ms(self) -> list[float]:
        return later(self.bare, self.engine[1])

    @property
    def speed_ups(self) -> list[float]:
        """Of eight answers at once against one."""
        return times_faster(rates(self.node[1]), rates(self.node[8]))

    @property
    def raw_speed_ups(self) -> list[float]:
        return times_faster(self.raw[1], self.raw[8])


@dataclass(frozen=True)
class Idle:
    """Memory of the node's process that is no file's."""

    sessions: int
    bytes_each: float


class Bench:
    """Everything that runs, with so many threads each."""

    def __init__(self, threads: int, tokens: int, client: ClientProcess, node: NodeProcess) -> None:
        self._client = client
        self._node = node
        self.runs = Runs(threads, tokens)

    def rounds(self, count: int, prompts: list[tuple[int, ...]]) -> Runs:
        threads = str(self.runs.threads)
        with (
            LineProcess("benchmarks.alone", "bare", threads) as bare,
            LineProcess("benchmarks.alone", "engine", threads) as engine,
            LineProcess("benchmarks.alone", "raw", threads) as raw,
        ):
            for number in range(count + 1):
                if number == 1:  # the first only warms up
                    self.runs = Runs(self.runs.threads, self.runs.tokens)
                say(f"{threads} threads, round {number} of {count}")
                runs = self.runs
                run, (expected,) = answers(bare, prompts[:1], runs.tokens)
                runs.bare.append(run)
                for company in COMPANIES:
                    run, got = answers(engine, prompts[:company], runs.tokens)
                    runs.engine[company].append(run)
                    runs.same_tokens &= got[0] == expected
                    runs.same_tokens &= self._node_run(company) == got
                for batch in BATCHES:
                    told = raw.request(batch=batch)
                    runs.raw[batch].append(told["tokens_per_second"])
        return self.runs

    def _node_run(self, company: int) -> list[list[int]]:
        self._client.open(company)
        before = self._node.loop_seconds
        told = self._client.ask(list(PROMPTS[:company]), self.runs.tokens)
        spent = self._node.loop_seconds - before
        run = run_of(min(one.asked for one in told), [one.times for one in told])
        self.runs.node[company].append(run)
        self.runs.loop_us[company].append(1e6 * spent / sum(len(one.tokens) for one in told))
        return [one.tokens for one in told]


def answers(
    process: LineProcess, prompts: list[tuple[int, ...]], tokens: int
) -> tuple[Run, list[list[int]]]:
    """Of bare llama.cpp or of the engine: the run, and the tokens of each answer."""
    told = process.request(prompts=prompts, tokens=tokens)
    return Run(**told["run"]), told["got"]


def stories() -> list[tuple[int, ...]]:
    """The prompts as tokens."""
    model = Model.load(EngineSettings())
    try:
        chat = ChatFormat(model.vocabulary, model.chat_template)
        return [chat.opening([ChatMessage("user", prompt)]) for prompt in PROMPTS]
    finally:
        model.close()


def idle_memory(node: NodeProcess, client: ClientProcess, sessions: int) -> Idle:
    """What sessions cost that were asked once and stay connected. The first few do not count:
    with them come memory pools that the others share."""

    def talk(count: int) -> None:
        for number in range(count):
            client.open(1)
            client.ask([PROMPTS[number % len(PROMPTS)]], IDLE_TOKENS)

    say(f"{sessions} idle sessions")
    talk(WARM_SESSIONS)
    before = node.anonymous_bytes
    talk(sessions)
    return Idle(sessions, (node.anonymous_bytes - before) / sessions)


def rates(runs: list[Run]) -> list[float]:
    return [run.tokens_per_second for run in runs]


def lost(reference: list[Run], runs: list[Run]) -> list[float]:
    pairs = zip(rates(reference), rates(runs), strict=True)
    return [1 - rate / before for before, rate in pairs]


def later(reference: list[Run], runs: list[Run]) -> list[float]:
    pairs = zip(reference, runs, strict=True)
    return [1000 * (run.first_token_seconds - one.first_token_seconds) for one, run in pairs]


def times_faster(ones: list[float], eights: list[float]) -> list[float]:
    return [eight / one for one, eight in zip(ones, eights, strict=True)]


def table(runs: Runs) -> str:
    def row(what: str, of: list[Run], one: list[Run]) -> str:
        speeds, firsts = rates(of), [1000 * run.first_token_seconds for run in of]
        share = statistics.median(times_faster(rates(one), speeds))
        return (
            f"| {what} | {statistics.median(speeds):.1f} | {max(speeds):.1f} | {share:.2f} "
            f"| {statistics.median(firsts):.0f} ms | {min(firsts):.0f} ms |"
        )

    lines = [
        f"| {runs.threads} thread{'s' * (runs.threads > 1)} | tokens/s | best | of one's "
        "| first token | best |",
        "|---|---:|---:|---:|---:|---:|",
        row("bare llama-cpp-python, one answer", runs.bare, runs.bare),
    ]
    lines += [row(f"engine, {n} at once", of, runs.engine[1]) for n, of in runs.engine.items()]
    lines += [row(f"node, {n} at once", of, runs.node[1]) for n, of in runs.node.items()]
    for batch, speeds in runs.raw.items():
        share = statistics.median(times_faster(runs.raw[1], speeds))
        lines.append(
            f"| raw `llama_decode`, {batch} in a batch | {statistics.median(speeds):.1f} "
            f"| {max(speeds):.1f} | {share:.2f} | | |"
        )
    loop = {n: statistics.median(values) for n, values in runs.loop_us.items()}
    return "\n".join(
        (
            *lines,
            "",
            "CPU time of the node's event loop for a token, from prompt to `stream_end`: "
            + ", ".join(f"{us:.0f} µs with {n} at once" for n, us in loop.items())
            + f". Same tokens everywhere: {'yes' if runs.same_tokens else 'NO'}.",
        )
    )


def aims(all_runs: list[Runs], idle: Idle) -> str:
    """What was aimed at, and whether it was reached: by medians of the rounds' own ratios."""
    lines = ["| aim | measured | reached |", "|---|---|---|"]

    def add(what: str, aim: str, measured: str, reached: bool) -> None:
        lines.append(f"| {what}: {aim} | {measured} | {'yes' if reached else '**no**'} |")

    for runs in all_runs:
        with_threads = f"{runs.threads} thread{'s' * (runs.threads > 1)}"
        overhead = statistics.median(runs.overheads)
        add(
            f"overhead at one session, {with_threads}",
            f"under {MOST_OVERHEAD:.0%}",
            f"{overhead:.1%} ({min(runs.overheads):.1%} to {max(runs.overheads):.1%}; "
            f"the engine alone: {statistics.median(runs.engine_overheads):.1%})",
            overhead < MOST_OVERHEAD,
        )
        added = statistics.median(runs.added_ms)
        add(
            f"added to the first token, {with_threads}",
            f"under {MOST_ADDED_MS:.0f} ms",
            f"{added:.1f} ms ({min(runs.added_ms):.1f} to {max(runs.added_ms):.1f}; "
            f"the engine alone: {statistics.median(runs.engine_added_ms):.1f})",
            added < MOST_ADDED_MS,
        )
        speed_up = statistics.median(runs.speed_ups)
        add(
            f"eight sessions against one, {with_threads}",
            f"at least {LEAST_SPEED_UP:.0f} times the tokens",
            f"{speed_up:.2f} ({min(runs.speed_ups):.2f} to {max(runs.speed_ups):.2f}; raw "
            f"`llama_decode` gives {statistics.median(runs.raw_speed_ups):.2f} on this machine)",
            speed_up >= LEAST_SPEED_UP,
        )
    kb = idle.bytes_each / 1000
    add(
        "memory of an idle session",
        f"under {MOST_IDLE_KB:.0f} kB",
        f"{kb:.0f} kB",
        kb < MOST_IDLE_KB,
    )
    return "\n".join(lines)


def notes(all_runs: list[Runs], idle: Idle) -> str:
    one = all_runs[0]
    return (
        f"Answers of {one.tokens} tokens, a fresh session for each; {len(one.bare)} rounds, in "
        "which each kind ran once. Columns are medians and bests of the rounds; aims are judged by "
        "the median of each round's own ratio. Tokens count while all answers stream. The node, "
        "its clients and bare llama.cpp share the cores. First token: from the prompt's sending, "
        "for several at once the median of them; the engine and the node read prompts in chunks "
        "of 32 tokens, bare llama.cpp at once.\n\n"
        f"Idle sessions: anonymous resident memory of the node's process after {idle.sessions} "
        f"sessions more than before, divided by {idle.sessions}. Each was begun on a WebSocket of "
        f"its own, asked once (an answer of {IDLE_TOKENS} tokens) and stays connected: socket, "
        f"key, transcript. {WARM_SESSIONS} sessions came before; the cache of the model's "
        "attention is allocated at the start and is not in it."
    )


def plot(all_runs: list[Runs], path: Path) -> None:
    figure, axes = pyplot.subplots(1, len(all_runs), figsize=(5 * len(all_runs), 4), squeeze=False)
    for axis, runs in zip(axes[0], all_runs, strict=True):
        bare = statistics.median(rates(runs.bare))
        axis.axhline(bare, color="gray", linestyle="--", label="bare llama-cpp-python")
        raw = [statistics.median(runs.raw[n]) for n in BATCHES]
        axis.plot(BATCHES, raw, color="silver", marker="s", label="raw llama_decode")
        for name, kind in (("engine", runs.engine), ("node", runs.node)):
            speeds = [statistics.median(rates(kind[n])) for n in COMPANIES]
            axis.plot(COMPANIES, speeds, marker="o", label=name)
        axis.set(
            title=f"{runs.threads} thread{'s' * (runs.threads > 1)}",
            xlabel="sessions at once",
            ylabel="tokens per second, together",
            ylim=(0, None),
        )
        axis.grid(alpha=0.3)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def say(text: str) -> None:
    print(text, file=sys.stderr)


async def measure(
    dev_chain: DevChain, folder: Path, options: argparse.Namespace
) -> tuple[list[Runs], Idle]:
    all_runs = []
    prompts = stories()
    async with World(dev_chain, folder) as world:
        nodes = NodeWorld(world, folder)
        for threads in options.threads:
            with ExitStack() as stack:
                environment = nodes.environment(
                    context_tokens=CONTEXT,
                    engine_threads=threads,
                    engine_exact_replay=False,  # as bare llama-cpp-python runs
                    data_folder=folder / f"node-{threads}",
                )
                node = stack.enter_context(NodeProcess(environment))
                await nodes.announce(node.url)
                environment["MODEL_ID"] = str(world.model_id)
                client = stack.enter_context(ClientProcess(environment, folder / "client"))
                bench = Bench(threads, options.tokens, client, node)
                all_runs.append(bench.rounds(options.rounds, prompts))
                if threads == options.threads[-1]:
                    idle = idle_memory(node, client, options.idle)
                client.close_all()
    return all_runs, idle


async def run(options: argparse.Namespace) -> tuple[list[Runs], Idle]:
    with tempfile.TemporaryDirectory() as folder, await start_dev_chain() as dev_chain:
        return await measure(dev_chain, Path(folder), options)


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=100, help="tokens of each answer")
    parser.add_argument("--idle", type=int, default=IDLE_SESSIONS, help="idle sessions")
    parser.add_argument("--quick", action="store_true", help="a smoke test; figures say little")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.tokens, options.idle = 1, 30, 10
    all_runs, idle = asyncio.run(run(options))
    text = "\n\n".join(
        (
            aims(all_runs, idle),
            *(table(runs) for runs in all_runs),
            notes(all_runs, idle),
            machine(),
        )
    )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "node.md").write_text(text + "\n")
    figures = {"runs": [asdict(runs) for runs in all_runs], "idle": asdict(idle)}
    (options.out / "node.json").write_text(json.dumps(figures, indent=1) + "\n")
    plot(all_runs, options.out / "node.png")
    print(text)


if __name__ == "__main__":
    main()
