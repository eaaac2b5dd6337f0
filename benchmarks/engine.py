"""Benchmark of the engine: `python -m benchmarks.engine`.

The same prompts and greedy answers by bare llama-cpp-python (its high-level `Llama`, one answer
after another) and by the engine, one, four and eight answers at once; the time to the first token;
the memory of a sequence; and the hashing of the model file. Runs alternate, and the best of each
counts: other work on the machine can only slow them down. Writes a table (Markdown) and the raw
figures (JSON) to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from llama_cpp import Llama

from platformless.engine.chat import ChatFormat
from platformless.engine.engine import Engine
from platformless.engine.model import packaged_model
from platformless.engine.request import GeneratedToken, GenerationRequest
from platformless.engine.settings import EngineSettings
from platformless.engine.weights import compute_weights
from platformless.protocol.prompt import ChatMessage

from .machine import machine

RESULTS = Path(__file__).parent / "results"
COMPANIES = (1, 4, 8)
CONTEXT = 1024
SUBJECTS = ("the sea", "a lighthouse", "bees", "trains", "snow", "a market", "maps", "bread")
PROMPTS = tuple(f"Write a long story about {subject}." for subject in SUBJECTS)


@dataclass(frozen=True)
class Run:
    """Tokens per second between first and last token; seconds to the first, as the median."""

    tokens_per_second: float
    first_token_seconds: float


@dataclass(frozen=True)
class Figures:
    threads: int
    bare: Run
    engine: dict[int, Run]
    """By answers at once; tokens per second are those of all together."""
    same_tokens: bool
    """Whether bare llama.cpp and the engine gave the same tokens."""
    bytes_per_sequence: int
    plain_sha256_seconds: float
    weights_seconds: float

    @property
    def overhead(self) -> float:
        return 1 - self.engine[1].tokens_per_second / self.bare.tokens_per_second


def bare_run(llama: Llama, prompt: tuple[int, ...], tokens: int) -> tuple[Run, list[int]]:
    llama.n_tokens = 0  # else the prompt would be found in the cache
    started = time.perf_counter()
    got: list[int] = []
    times: list[float] = []
    for token in llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
        got.append(token)
        times.append(time.perf_counter())
        if len(got) == tokens:
            break
    return Run((tokens - 1) / (times[-1] - times[0]), times[0] - started), got


async def engine_run(
    engine: Engine, prompts: list[tuple[int, ...]], tokens: int
) -> tuple[Run, list[list[int]]]:
    started = time.perf_counter()

    async def one(prompt: tuple[int, ...]) -> tuple[list[int], list[float]]:
        got: list[int] = []
        times: list[float] = []
        request = GenerationRequest(prompt=prompt, max_tokens=tokens)
        async with engine.generate(request) as generation:
            async for step in generation:
                if isinstance(step, GeneratedToken):
                    got.append(step.token)
                    times.append(time.perf_counter())
        return got, times

    done = await asyncio.gather(*(one(prompt) for prompt in prompts))
    return run_of(started, [times for _, times in done]), [got for got, _ in done]


def run_of(started: float, answers: list[list[float]]) -> Run:
    """From the times of each answer's tokens. Tokens count while all stream: after the last one's
    first token, up to the first one's last."""
    begin = max(times[0] for times in answers)
    end = min(times[-1] for times in answers)
    streamed = sum(begin < at <= end for times in answers for at in times)
    first = statistics.median(times[0] - started for times in answers)
    return Run(streamed / (end - begin), first)


def stories(chat: ChatFormat) -> list[tuple[int, ...]]:
    """The prompts as tokens."""
    return [chat.opening([ChatMessage("user", prompt)]) for prompt in PROMPTS]


async def measure(threads: int, tokens: int, rounds: int) -> Figures:
    path = packaged_model()
    before = resident_bytes()
    settings = EngineSettings(model_path=path, threads=threads, sequences=8, context_tokens=CONTEXT)
    small = EngineSettings(model_path=path, threads=threads, sequences=1, context_tokens=CONTEXT)
    async with await Engine.load(small):
        alone = resident_bytes() - before
    llama = Llama(
        str(path), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False
    )
    before = resident_bytes()
    async with await Engine.load(settings) as engine:
        per_sequence = max(0, resident_bytes() - before - alone) // 7
        chat = ChatFormat(engine.vocabulary, engine.chat_template)
        prompts = stories(chat)
        bare: list[Run] = []
        runs: dict[int, list[Run]] = {company: [] for company in COMPANIES}
        same = True
        for _ in range(rounds):
            run, expected = bare_run(llama, prompts[0], tokens)
            bare.append(run)
            for company in COMPANIES:
                run, got = await engine_run(engine, prompts[:company], tokens)
                runs[company].append(run)
                same = same and got[0] == expected[: len(got[0])]
    llama.close()
    plain, weights = hashing_seconds(path, rounds)
    return Figures(
        threads,
        best(bare),
        {company: best(those) for company, those in runs.items()},
        same,
        per_sequence,
        plain,
        weights,
    )


def best(runs: list[Run]) -> Run:
    return Run(
        max(run.tokens_per_second for run in runs), min(run.first_token_seconds for run in runs)
    )


def hashing_seconds(path: Path, rounds: int) -> tuple[float, float]:
    """Of the plain SHA-256 of the file, and of all its names, from the page cache."""
    plain, weights = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
        plain.append(time.perf_counter() - started)
        started = time.perf_counter()
        compute_weights(path)
        weights.append(time.perf_counter() - started)
    return min(plain), min(weights)


def resident_bytes() -> int:
    """Memory of this process that is in use and not a file's."""
    pages = Path("/proc/self/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


def table(figures: Figures) -> str:
    one = figures.engine[1]
    lines = [
        "| what | tokens per second | of one's | time to the first token |",
        "|---|---|---|---|",
        f"| bare llama-cpp-python, one answer | {figures.bare.tokens_per_second:.1f} | "
        f"| {figures.bare.first_token_seconds * 1000:.0f} ms |",
    ]
    for company, run in figures.engine.items():
        lines.append(
            f"| engine, {company} at once | {run.tokens_per_second:.1f} "
            f"| {run.tokens_per_second / one.tokens_per_second:.2f} "
            f"| {run.first_token_seconds * 1000:.0f} ms |"
        )
    lines += [
        "",
        f"Overhead at one answer: {figures.overhead:.1%}. Same tokens as bare llama.cpp: "
        f"{'yes' if figures.same_tokens else 'no'}. Threads: {figures.threads}.",
        f"Memory of a sequence of {CONTEXT} tokens: {figures.bytes_per_sequence / 2**20:.1f} MiB.",
        f"Weights root and SHA-256 of the file: {figures.weights_seconds:.3f} s; plain SHA-256: "
        f"{figures.plain_sha256_seconds:.3f} s "
        f"({figures.weights_seconds / figures.plain_sha256_seconds:.1f} times).",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tokens", type=int, default=100, help="tokens of each answer")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments.threads, arguments.tokens, arguments.rounds))
    text = f"{table(figures)}\n\n{machine()}"
    (arguments.out / "engine.md").write_text(text + "\n")
    (arguments.out / "engine.json").write_text(json.dumps(asdict(figures), indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
