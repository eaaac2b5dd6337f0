"""llama.cpp's stages restrict the candidates; the draw is ours and can be made again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformless.engine.draw import Logits, choose, draw
from platformless.engine.errors import DecodingFailed
from platformless.engine.sampling import TokenSampler
from platformless.protocol.transcript import Sampler

from .answers import SEED, WARM

VOCABULARY = 500
LOGITS = np.random.default_rng(6).normal(0, 3, VOCABULARY).astype(np.float32)


def sampler_of(sampler: Sampler, context: tuple[int, ...] = ()) -> TokenSampler:
    return TokenSampler(VOCABULARY, 4096, sampler, SEED, context)


def left(sampler: Sampler, context: tuple[int, ...] = ()) -> dict[int, float]:
    chain = sampler_of(sampler, context)
    ids, logits = chain.candidates(LOGITS)
    chain.close()
    return dict(zip(ids.tolist(), logits.tolist(), strict=True))


def best(count: int) -> set[int]:
    return set(np.argsort(-LOGITS)[:count].tolist())


def probabilities(logits: Logits) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(weights / weights.sum())


def test_temperature_divides() -> None:
    got = left(Sampler(temperature=0.5))
    assert got == dict(enumerate((LOGITS / np.float32(0.5)).tolist()))


def test_top_k_keeps_the_largest() -> None:
    assert set(left(Sampler(temperature=1, top_k=7))) == best(7)


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    falling = np.sort(probabilities(LOGITS))[::-1]
    count = int(np.searchsorted(np.cumsum(falling), 0.6)) + 1
    assert set(left(Sampler(temperature=1, top_p=0.6))) == best(count)


def test_min_p_keeps_those_near_the_best() -> None:
    shares = probabilities(LOGITS)
    near = set(np.flatnonzero(shares >= 0.2 * shares.max()).tolist())
    assert set(left(Sampler(temperature=1, min_p=0.2))) == near


def test_penalties_lower_what_the_context_ends_with() -> None:
    first, second = (int(token) for token in np.argsort(-LOGITS)[:2])
    sampler = Sampler(
        temperature=1,
        repeat_penalty=1.5,
        repeat_last_n=2,
        presence_penalty=0.25,
        frequency_penalty=0.5,
    )
    got = left(sampler, (second, first, first))
    assert got[second] == LOGITS[second], "outside of the window"
    assert got[first] == pytest.approx(LOGITS[first] / 1.5 - 0.25 - 2 * 0.5, rel=1e-5)


def test_a_greedy_sampler_heeds_penalties() -> None:
    first, second = (int(token) for token in np.argsort(-LOGITS)[:2])
    plain = sampler_of(Sampler())
    assert plain.choose(LOGITS, 0) == first
    chain = sampler_of(Sampler(presence_penalty=50, repeat_last_n=8), (9,))
    assert chain.choose(LOGITS, 0) == first
    chain.accept(first)
    assert chain.choose(LOGITS, 1) == second
    chain.close()


def test_zeros_switch_stages_off() -> None:
    assert len(left(Sampler(temperature=1))) == VOCABULARY


def test_a_huge_window_costs_no_memory() -> None:
    chain = sampler_of(Sampler(temperature=1, repeat_penalty=1.1, repeat_last_n=2**32 - 1), (3,))
    chain.choose(LOGITS, 0)
    chain.close()


@settings(max_examples=30)
@given(st.integers(0, 2**40))
def test_a_token_can_be_checked_from_the_candidates(position: int) -> None:
    chain = sampler_of(WARM, (1, 2, 3))
    ids, logits = chain.candidates(LOGITS)
    assert chain.choose(LOGITS, position) == choose(ids, logits, draw(SEED, position))
    chain.close()


@pytest.mark.parametrize("sampler", [Sampler(), WARM])
def test_logits_that_are_no_numbers_are_an_error(sampler: Sampler) -> None:
    chain = sampler_of(sampler, (1,))
    with pytest.raises(DecodingFailed):
        chain.choose(np.full(VOCABULARY, np.nan, np.float32), 0)
    chain.close()
