"""The engine as a node sets it for exact replay, beside llama.cpp's plain decoding.

`python -m benchmarks.engine_settings` prints tokens a second of 1, 4 and 8 conversations at once,
greedy, 200 tokens each, twice in turn: without flash attention, and with it and one thread for lone
tokens.
"""

from __future__ import annotations

import asyncio
import time

from platformless.engine.engine import Engine
from platformless.engine.request import GenerationRequest
from platformless.engine.settings import EngineSettings

from .machine import machine

SETTINGS = {
    "plain": EngineSettings(context_tokens=2048),
    "exact": EngineSettings(context_tokens=2048, flash_attention=True, lone_threads=1),
}
CONVERSATIONS = (1, 4, 8)
ROUNDS = 2
TOKENS = 200
TEXT = (
    "Once upon a time there was a lighthouse keeper who counted ships and told long stories. " * 8
)


async def answer(engine: Engine, text: str) -> int:
    """Steps of one generation."""
    request = GenerationRequest(prompt=engine.vocabulary.tokenize(text), max_tokens=TOKENS)
    steps = 0
    async with engine.generate(request) as generation:
        async for _ in generation:
            steps += 1
    return steps


async def main() -> None:
    for number in range(ROUNDS):
        for name, settings in SETTINGS.items():
            async with await Engine.load(settings) as engine:
                for count in CONVERSATIONS:
                    began = time.monotonic()
                    texts = [f"{TEXT} {place}" for place in range(count)]
                    steps = sum(await asyncio.gather(*(answer(engine, text) for text in texts)))
                    rate = steps / (time.monotonic() - began)
                    print(f"round {number}, {name}, {count} at once: {rate:.1f} tokens/s")
    print(machine())


if __name__ == "__main__":
    asyncio.run(main())
