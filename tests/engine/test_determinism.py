"""What a sequence's logits depend on: its tokens, and nothing that runs beside it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import replace

import llama_cpp
import numpy as np
import pytest

from platformless.engine.chat import ChatFormat
from platformless.engine.context import Context
from platformless.engine.draw import Logits, greedy
from platformless.engine.engine import Engine
from platformless.engine.model import Model
from platformless.engine.request import GenerationRequest

from .answers import SEED, SETTINGS, WARM, answer, answers, question

STEPS = 10
REUSE_BOUND = 3.0
"""Most that a logit of a continued conversation may differ from those of the same tokens decoded
as one prompt; 1.6 was the most seen in hundreds of tokens."""


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    model = Model.load(SETTINGS)
    yield model
    model.close()


@pytest.fixture(scope="module")
def prompts(engine: Engine) -> list[tuple[int, ...]]:
    chat = ChatFormat(engine.vocabulary, engine.chat_template)
    return [
        question(chat, f"Write {n} lines about {'very ' * 9 * n}long trains.") for n in range(4)
    ]


def rows_of(
    model: Model, prompts: dict[int, tuple[int, ...]], watched: int, **changes: int
) -> list[Logits]:
    """The logits of the sequence `watched`, greedily continued beside the other sequences."""
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    context = Context(model, settings)
    try:
        lengths = {number: len(prompt) for number, prompt in prompts.items()}
        last: dict[int, Logits] = {}
        for number, prompt in prompts.items():
            for start in range(0, len(prompt), settings.chunk):
                part = prompt[start : start + settings.chunk]
                context.decode_prompt(number, part, start, want_logits=True)
            last[number] = context.logits(len(part) - 1).copy()
        rows = [last[watched]]
        for step in range(STEPS):
            context.decode_step(
                [(number, greedy(last[number]), lengths[number] + step) for number in prompts]
            )
            last = {number: context.logits(row).copy() for row, number in enumerate(prompts)}
            rows.append(last[watched])
        return rows
    finally:
        context.close()


@pytest.mark.parametrize("watched", [0, 2])
def test_logits_are_the_same_bits_whatever_runs_beside(
    model: Model, prompts: list[tuple[int, ...]], watched: int
) -> None:
    alone = rows_of(model, {watched: prompts[watched]}, watched)
    beside = rows_of(model, dict(enumerate(prompts)), watched)
    gaps = rows_of(model, {0: prompts[0], 2: prompts[2]}, watched)
    elsewhere = rows_of(model, {3: prompts[watched]}, 3)
    for other in (beside, gaps, elsewhere):
        np.testing.assert_array_equal(np.array(alone), np.array(other))


@pytest.mark.parametrize("changes", [{"threads": 2}, {"prompt_chunk_tokens": 7}])
def test_threads_and_chunks_do_not_matter(
    model: Model, prompts: list[tuple[int, ...]], changes: dict[str, int]
) -> None:
    np.testing.assert_array_equal(
        np.array(rows_of(model, {0: prompts[1]}, 0)),
        np.array(rows_of(model, {0: prompts[1]}, 0, **changes)),
    )


@pytest.mark.parametrize(("flash", "bound"), [(False, REUSE_BOUND), (True, 0.0)])
def test_a_generated_token_in_the_cache_differs_from_a_prompt_token_by_little(
    model: Model, prompts: list[tuple[int, ...]], flash: bool, bound: float
) -> None:
    """With flash attention and one thread, by nothing at all."""
    prompt = prompts[0][-50:]  # both fit a chunk of 63
    generated = rows_of(model, {0: prompt}, 0, flash_attention=flash)
    tokens = prompt + tuple(greedy(row) for row in generated[:-1])
    context = Context(model, replace(SETTINGS, prompt_chunk_tokens=63, flash_attention=flash))
    try:
        context.decode_prompt(0, tokens, 0, want_logits=True)
        whole = context.logits(len(tokens) - 1).copy()
    finally:
        context.close()
    assert np.abs(whole - generated[-1]).max() <= bound


async def test_answers_are_the_same_alone_and_in_company(
    engine: Engine, prompts: list[tuple[int, ...]]
) -> None:
    """Greedy and drawn, in every order and company: no run of them differs."""
    requests = [
        GenerationRequest(prompt=prompt, max_tokens=6, sampler=sampler, seed=SEED)
        for prompt in prompts[:3]
        for sampler in (replace(WARM, temperature=0.0), WARM)
    ]
    alone = [await answer(engine, request) for request in requests]
    company = await answers(engine, requests)
    backwards = await answers(engine, requests[::-1])
    assert [one.tokens for one in company] == [one.tokens for one in alone]
    assert [one.tokens for one in backwards[::-1]] == [one.tokens for one in alone]


async def test_greedy_is_the_largest_logit_of_bare_llama_cpp(
    engine: Engine, prompts: list[tuple[int, ...]], bare: Callable[[tuple[int, ...]], list[int]]
) -> None:
    for prompt in prompts[:2]:
        got = await answer(engine, GenerationRequest(prompt=prompt, max_tokens=16))
        end = got.finished.end_token
        tokens = list(got.tokens) if end is None else [*got.tokens, end]
        assert tokens == bare(prompt)[: len(tokens)]


@pytest.fixture
def bare(model: Model) -> Iterator[Callable[[tuple[int, ...]], list[int]]]:
    """Sixteen tokens by llama.cpp's own greedy sampler, in a context of one sequence."""
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = 512
    parameters.n_threads = parameters.n_threads_batch = 1
    parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model.handle, parameters)
    assert context is not None
    sampler = llama_cpp.llama_sampler_init_greedy()

    def generate(prompt: tuple[int, ...]) -> list[int]:
        memory = llama_cpp.llama_get_memory(context)
        assert memory is not None
        llama_cpp.llama_memory_clear(memory, True)
        tokens: list[int] = []
        given = prompt
        for _ in range(16):
            array = (ctypes.c_int32 * len(given))(*given)
            batch = llama_cpp.llama_batch_get_one(array, len(given))
            assert llama_cpp.llama_decode(context, batch) == 0
            tokens.append(llama_cpp.llama_sampler_sample(sampler, context, -1))
            given = (tokens[-1],)
        return tokens

    yield generate
    llama_cpp.llama_sampler_free(sampler)
    llama_cpp.llama_free(context)
