"""Answers of the real model: streams, limits, cancellation, the line, slow readers, the end."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from dataclasses import replace

import pytest

from platformless.engine.chat import ChatFormat
from platformless.engine.engine import THREAD_NAME, Engine
from platformless.engine.errors import (
    DecodingFailed,
    EngineClosed,
    PromptNotUsable,
    QueueFull,
    RequestError,
    SamplerNotUsable,
    TokenLimitExceeded,
)
from platformless.engine.generation import Generation
from platformless.engine.request import (
    Finished,
    FinishReason,
    GeneratedToken,
    GenerationRequest,
    Step,
)
from platformless.engine.settings import EngineSettings
from platformless.protocol.digests import Seed
from platformless.protocol.prompt import ChatMessage
from platformless.protocol.transcript import Sampler

from .answers import SEED, SETTINGS, WARM, answer, answers, question, read


async def test_an_answer_ends_when_the_model_ends_it(engine: Engine, chat: ChatFormat) -> None:
    prompt = question(chat, "Say only the word hello.")
    got = await answer(engine, GenerationRequest(prompt=prompt, max_tokens=60))
    assert got.finished.reason is FinishReason.STOP
    assert got.finished.end_token in engine.vocabulary.end_tokens
    assert got.finished.prompt_tokens == len(prompt)
    assert got.text == engine.vocabulary.detokenize(got.tokens)
    assert engine.vocabulary.end_tokens.isdisjoint(got.tokens)


async def test_positions_count_on_from_the_prompt(engine: Engine, chat: ChatFormat) -> None:
    prompt = question(chat, "Count to twenty.")
    for first in (None, 1000):
        request = GenerationRequest(prompt=prompt, max_tokens=4, first_position=first)
        async with engine.generate(request) as generation:
            steps = [step async for step in generation]
        begin = len(prompt) if first is None else first
        positions = [step.position for step in steps if isinstance(step, GeneratedToken)]
        assert positions == list(range(begin, begin + 4))


async def test_a_conversation_decodes_only_what_is_new(engine: Engine, chat: ChatFormat) -> None:
    messages = [ChatMessage("user", "My name is Ada. Greet me.")]
    tokens = chat.opening(messages)
    for text in ("What is my name?", "Spell it.", "Thank you."):
        request = GenerationRequest(prompt=tokens, max_tokens=16, conversation="turns")
        got = await answer(engine, request)
        messages += [ChatMessage("assistant", got.text), ChatMessage("user", text)]
        known = len(tokens) + len(got.tokens)
        tokens += got.tokens + chat.continuation(messages)
        followed = await answer(engine, replace(request, prompt=tokens, max_tokens=1))
        assert followed.finished.reused_tokens >= known - 1
    stranger = GenerationRequest(prompt=tokens, max_tokens=1, conversation="someone else")
    assert (await answer(engine, stranger)).finished.reused_tokens == 0


async def test_a_limit_ends_the_answer(engine: Engine, chat: ChatFormat) -> None:
    prompt = question(chat, "Tell a long story.")
    got = await answer(engine, GenerationRequest(prompt=prompt, max_tokens=7))
    assert got.finished.reason is FinishReason.LENGTH
    assert len(got.tokens) == 7


async def test_a_full_context_ends_the_answer(engine: Engine) -> None:
    word = engine.vocabulary.tokenize(" again")
    prompt = word * (engine.context_size - 3)
    got = await answer(engine, GenerationRequest(prompt=prompt, max_tokens=50))
    assert got.finished.reason is FinishReason.LENGTH
    assert len(got.tokens) == 3


async def test_a_prompt_too_long_is_refused_with_both_numbers(engine: Engine) -> None:
    with pytest.raises(TokenLimitExceeded) as refused:
        engine.generate(GenerationRequest(prompt=(5,) * 512))
    assert (refused.value.prompt_tokens, refused.value.context_size) == (512, 512)
    assert "512" in str(refused.value)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (GenerationRequest(prompt=()), PromptNotUsable),
        (GenerationRequest(prompt=(1, 10**6)), PromptNotUsable),
        (GenerationRequest(prompt=(1, -1)), PromptNotUsable),
        (GenerationRequest(prompt=(1,), max_tokens=0), RequestError),
        (GenerationRequest(prompt=(1,), sampler=Sampler(temperature=-1)), SamplerNotUsable),
        (GenerationRequest(prompt=(1,), sampler=Sampler(temperature=1e-9)), SamplerNotUsable),
        (GenerationRequest(prompt=(1,), sampler=Sampler(top_p=1.5)), SamplerNotUsable),
        (GenerationRequest(prompt=(1,), sampler=Sampler(min_p=-0.5)), SamplerNotUsable),
        (GenerationRequest(prompt=(1,), sampler=Sampler(repeat_penalty=-1)), SamplerNotUsable),
    ],
)
async def test_requests_without_a_meaning_are_refused(
    engine: Engine, request_: GenerationRequest, error: type[Exception]
) -> None:
    with pytest.raises(error):
        engine.generate(request_)


async def test_a_stop_string_ends_the_answer_before_it(engine: Engine, chat: ChatFormat) -> None:
    prompt = question(chat, "Tell a long story.")
    free = await answer(engine, GenerationRequest(prompt=prompt, max_tokens=20))
    stop = free.text[20:26]
    got = await answer(engine, GenerationRequest(prompt=prompt, max_tokens=20, stop=(stop,)))
    assert got.finished.reason is FinishReason.STOP
    assert got.text == free.text[: free.text.index(stop)]
    assert got.tokens == free.tokens[: len(got.tokens)]


async def test_characters_of_several_tokens_are_whole(engine: Engine, chat: ChatFormat) -> None:
    """A repetition makes the model write emoji, which are three tokens each."""
    line = "🐋🦉🐝🦀" * 6
    assert len(engine.vocabulary.tokenize("🐋")) > 1
    prompt = chat.opening([ChatMessage("user", f"Repeat: {line}")])
    prompt += engine.vocabulary.tokenize(line)
    async with engine.generate(GenerationRequest(prompt=prompt, max_tokens=14)) as generation:
        steps = [step async for step in generation]
    tokens = tuple(step.token for step in steps if isinstance(step, GeneratedToken))
    pieces = [step.text for step in steps]
    whole = engine.vocabulary.detokenize(tokens)
    assert "".join(pieces) == whole
    assert any(char in whole for char in "🐋🦉🐝🦀")
    assert "" in pieces[:-1]
    assert all("\ufffd" not in piece for piece in pieces[:-1])


async def test_the_same_seed_gives_the_same_tokens(engine: Engine, chat: ChatFormat) -> None:
    request = GenerationRequest(
        prompt=question(chat, "Invent a name."), max_tokens=12, sampler=WARM, seed=SEED
    )
    first, second = await answers(engine, [request, request])
    assert first.tokens == second.tokens
    other = await answer(engine, replace(request, seed=Seed(b"\x07" * 32)))
    moved = await answer(engine, replace(request, first_position=10_000))
    assert len({first.tokens, other.tokens, moved.tokens}) == 3


async def test_cancelling_takes_effect_within_a_token(engine: Engine, chat: ChatFormat) -> None:
    generation = engine.generate(GenerationRequest(prompt=question(chat, "Tell a long story.")))
    seen = 0
    async for step in generation:
        if isinstance(step, Finished):
            assert step.reason is FinishReason.CANCELLED
            assert step.completion_tokens == seen
            break
        seen += 1
        if seen == 5:
            generation.cancel()
    assert 5 <= seen <= 6
    assert [step async for step in generation] == []
    await idle(engine)


async def test_leaving_the_context_cancels(engine: Engine, chat: ChatFormat) -> None:
    request = GenerationRequest(prompt=question(chat, "Tell a long story."))
    async with engine.generate(request) as generation:
        await anext(generation)
    await idle(engine)


async def test_twelve_requests_on_four_sequences(engine: Engine, chat: ChatFormat) -> None:
    prompt = question(chat, "Tell a long story.")
    generations = [
        engine.generate(GenerationRequest(prompt=prompt, max_tokens=6)) for _ in range(12)
    ]
    assert [one.queue_position for one in generations] == [0] * 4 + list(range(1, 9))
    watched = asyncio.create_task(positions_of(generations[-1]))
    generations[6].cancel()
    assert [one.queue_position for one in generations[7:]] == [3, 4, 5, 6, 7]
    done = await asyncio.gather(*(read(one) for one in generations))
    reasons = [one.finished.reason for one in done]
    assert reasons.pop(6) is FinishReason.CANCELLED
    assert set(reasons) == {FinishReason.LENGTH}
    seen = await watched
    assert seen[0] >= 7
    assert seen[-1] == 0
    assert seen == sorted(seen, reverse=True)
    assert len(seen) >= 3


async def test_a_slow_reader_delays_only_itself(engine: Engine, chat: ChatFormat) -> None:
    request = GenerationRequest(prompt=question(chat, "Tell a long story."), max_tokens=40)
    slow = engine.generate(request)
    fast = await answer(engine, replace(request, max_tokens=60))
    assert len(fast.tokens) == 60
    assert slow.paused_since is not None
    assert engine.running == 1
    late = await read(slow)
    assert late.tokens == fast.tokens[:40]


async def test_a_long_prompt_does_not_stop_a_stream(engine: Engine, chat: ChatFormat) -> None:
    request = GenerationRequest(prompt=question(chat, "Tell a long story."), max_tokens=20)
    stream = engine.generate(request)
    await anext(stream)
    long_prompt = engine.vocabulary.tokenize(" word") * 320
    reading = engine.generate(GenerationRequest(prompt=long_prompt, max_tokens=1))
    first = asyncio.ensure_future(anext(reading))
    during = 0
    async for _ in stream:
        during += not first.done()
    await first
    reading.cancel()
    assert during >= 320 // SETTINGS.chunk - 2


async def test_the_event_loop_stays_free(engine: Engine, chat: ChatFormat) -> None:
    request = GenerationRequest(prompt=question(chat, "Tell a long story."), max_tokens=20)
    rounds: list[float] = []
    """Seconds that the loop took for each."""

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            rounds.append(time.perf_counter() - before)
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    await answers(engine, [request] * 4)
    watching.cancel()
    assert statistics.median(rounds) < 0.01, "a round with a step of four in it takes longer"


async def test_a_closed_engine_ends_what_runs_and_leaves_no_thread(chat: ChatFormat) -> None:
    before = decoders()
    settings = EngineSettings(
        threads=1, sequences=1, context_tokens=256, waiting_requests=1, patience_seconds=60
    )
    engine = await Engine.load(settings)
    assert len(decoders()) == len(before) + 1
    request = GenerationRequest(prompt=question(chat, "Tell a long story."))
    running, waiting = engine.generate(request), engine.generate(request)
    with pytest.raises(QueueFull):
        engine.generate(request)
    await anext(running)
    await engine.aclose()
    with pytest.raises(EngineClosed):
        await read(running)
    with pytest.raises(EngineClosed):
        await read(waiting)
    with pytest.raises(EngineClosed):
        engine.generate(request)
    with pytest.raises(EngineClosed):
        engine.vocabulary.tokenize("too late")
    await engine.aclose()
    assert decoders() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_reader_hears_of_a_round_that_broke_off(
    chat: ChatFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = Generation.offer

    def breaking_off(generation: Generation, step: Step) -> None:
        waits = generation._hungry
        offer(generation, step)
        if waits:
            raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(Generation, "offer", breaking_off)
    async with await Engine.load(replace(SETTINGS, sequences=1, context_tokens=256)) as engine:
        request = GenerationRequest(prompt=question(chat, "Tell a long story."))
        async with asyncio.timeout(60), engine.generate(request) as generation:
            with pytest.raises(DecodingFailed):
                await read(generation)


async def test_who_stays_away_makes_room_for_those_who_wait(chat: ChatFormat) -> None:
    settings = replace(SETTINGS, sequences=1, context_tokens=256, patience_seconds=0.05)
    request = GenerationRequest(prompt=question(chat, "Tell a long story."), max_tokens=20)
    async with await Engine.load(settings) as engine:
        away = engine.generate(request)
        got = await answer(engine, request)
        assert got.finished.reason is FinishReason.LENGTH
        late = await read(away)
        assert late.finished.reason is FinishReason.CANCELLED
        assert late.tokens == got.tokens[: settings.unread_tokens]


async def idle(engine: Engine) -> None:
    """Returns when nothing runs any more."""
    async with asyncio.timeout(10):
        while engine.running:
            await asyncio.sleep(0.005)


async def positions_of(generation: Generation) -> list[int]:
    return [place async for place in generation.positions()]


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]
