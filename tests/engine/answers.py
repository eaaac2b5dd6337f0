"""Requests and whole answers, for tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from platformless.engine.chat import ChatFormat
from platformless.engine.engine import Engine
from platformless.engine.generation import Generation
from platformless.engine.request import Finished, GeneratedToken, GenerationRequest
from platformless.engine.settings import EngineSettings
from platformless.protocol.digests import Seed
from platformless.protocol.prompt import ChatMessage
from platformless.protocol.transcript import Sampler

# One thread: two of them wait for each other busily when the machine has other work.
SETTINGS = EngineSettings(threads=1, sequences=4, context_tokens=512, unread_tokens=8)
WARM = Sampler(
    temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, repeat_penalty=1.1, repeat_last_n=64
)

SEED = Seed(bytes(range(32)))


@dataclass(frozen=True)
class Answer:
    tokens: tuple[int, ...]
    text: str
    finished: Finished


def question(chat: ChatFormat, text: str) -> tuple[int, ...]:
    return chat.opening([ChatMessage("system", "Be brief."), ChatMessage("user", text)])


async def read(generation: Generation) -> Answer:
    """All that a generation gives."""
    tokens: list[int] = []
    text = ""
    finished: Finished | None = None
    async for step in generation:
        text += step.text
        if isinstance(step, GeneratedToken):
            tokens.append(step.token)
        else:
            finished = step
    assert finished is not None
    assert finished.completion_tokens == len(tokens)
    return Answer(tuple(tokens), text, finished)


async def answer(engine: Engine, request: GenerationRequest) -> Answer:
    async with engine.generate(request) as generation:
        return await read(generation)


async def answers(engine: Engine, requests: list[GenerationRequest]) -> list[Answer]:
    """The answers to requests that are made at once."""
    return await asyncio.gather(*(answer(engine, request) for request in requests))
