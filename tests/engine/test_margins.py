"""The margin of a token against what llama.cpp's samplers and the draw really choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformless.engine.draw import Logits, draw
from platformless.engine.margins import LARGEST_MARGIN, SMALLEST_MARGIN, margin
from platformless.engine.sampling import TokenSampler
from platformless.protocol.digests import Seed
from platformless.protocol.transcript import Sampler

SEED = Seed(bytes(range(32)))
VOCABULARY = 60
ROUNDING = 1e-4
"""Of llama.cpp's single precision."""

rows = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).normal(0, 3, VOCABULARY).astype(np.float32)
)
samplers = st.builds(
    Sampler,
    temperature=st.sampled_from([0.0, 0.3, 0.7, 1.0, 1.5]),
    top_k=st.sampled_from([0, 1, 5, 40]),
    top_p=st.sampled_from([0.0, 0.5, 0.95]),
    min_p=st.sampled_from([0.0, 0.05, 0.3]),
    repeat_penalty=st.sampled_from([0.0, 1.1]),
    repeat_last_n=st.just(16),
    presence_penalty=st.sampled_from([0.0, 0.5]),
).map(lambda one: replace(one, top_k=0, top_p=0, min_p=0) if one.temperature == 0 else one)
contexts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30)
positions = st.integers(0, 10_000)


def chosen_by(logits: Logits, sampler: Sampler, position: int, context: list[int]) -> int:
    chooser = TokenSampler(VOCABULARY, 512, sampler, SEED, context)
    try:
        return chooser.choose(logits, position)
    finally:
        chooser.close()


@given(rows, samplers, positions, contexts)
def test_only_the_chosen_token_has_no_margin(
    logits: Logits, sampler: Sampler, position: int, context: list[int]
) -> None:
    chosen = chosen_by(logits, sampler, position, context)
    number = draw(SEED, position)
    for token in range(VOCABULARY):
        off = margin(logits, token, chosen, sampler, number, context)
        assert (off == 0) == (token == chosen)
        assert off == 0 or SMALLEST_MARGIN <= off <= LARGEST_MARGIN


@settings(max_examples=300)
@given(rows, samplers, positions, contexts, st.floats(0, 2), st.integers(0, 2**32 - 1))
def test_moving_logits_leads_to_tokens_within_that_margin(
    logits: Logits,
    sampler: Sampler,
    position: int,
    context: list[int],
    epsilon: float,
    noise: int,
) -> None:
    sampler = replace(sampler, repeat_penalty=0, presence_penalty=0)  # they are not moved
    moves = np.random.default_rng(noise).choice([-epsilon, epsilon], VOCABULARY)
    moved = (logits + moves).astype(np.float32)
    chosen = chosen_by(logits, sampler, position, context)
    other = chosen_by(moved, sampler, position, context)
    off = margin(logits, other, chosen, sampler, draw(SEED, position), context)
    assert off <= 2 * epsilon + ROUNDING


@given(rows, positions)
def test_greedy_the_margin_is_the_distance_to_the_largest(logits: Logits, position: int) -> None:
    chosen = int(np.argmax(logits))
    token = position % VOCABULARY
    expected = float(logits.max()) - float(logits[token])
    assert margin(logits, token, chosen, Sampler(), 0, []) == pytest.approx(expected)


@given(rows, samplers, positions, contexts)
def test_a_lifted_token_comes_nearer(
    logits: Logits, sampler: Sampler, position: int, context: list[int]
) -> None:
    """Each logit of difference counts at most once: what is lifted by d is at most d nearer."""
    sampler = replace(sampler, repeat_penalty=0)
    chosen = chosen_by(logits, sampler, position, context)
    token = (chosen + 1) % VOCABULARY
    before = margin(logits, token, chosen, sampler, draw(SEED, position), context)
    lifted = logits.copy()
    lifted[token] += 1
    now = chosen_by(lifted, sampler, position, context)
    after = margin(lifted, token, now, sampler, draw(SEED, position), context)
    assert after >= before - 2 - ROUNDING or before == LARGEST_MARGIN


def test_a_token_that_top_k_cuts_away_must_come_up_to_the_kth() -> None:
    logits = np.array([5.0, 4.0, 3.0, 1.0], np.float32)
    sampler = Sampler(temperature=1.0, top_k=2)
    # The draw is late enough for the last candidate: only the cut is in the way.
    off = margin(logits, 3, 1, sampler, 2**64 - 1, [])
    assert off == pytest.approx(3.0, abs=1e-3)


def test_an_end_of_generation_token_that_was_passed_over_has_a_margin() -> None:
    """To the margin, the end of an answer is a token as any other."""
    logits = np.array([9.0, 1.0, 0.0], np.float32)
    assert margin(logits, 1, 0, Sampler(), 0, []) == pytest.approx(8.0)
