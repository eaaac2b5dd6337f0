"""The draw is a function that anybody can compute again."""

from __future__ import annotations

import hashlib
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.engine.draw import (
    choose,
    draw,
    greedy,
    unit_weights,
)
from platformless.protocol.digests import Seed
from platformless.protocol.errors import ValueOutOfRange

SEED = Seed(bytes(range(32)))
singles = st.floats(-60, 60, width=32)


def tagged(tag: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(b"platformless-ai/v1/" + tag.ljust(45, b"\0") + payload).digest()


@pytest.mark.parametrize(
    ("position", "number"),
    [(0, 16412089461121833631), (1, 5110185688054026863), (4096, 11614554125050445894)],
)
def test_draw_vectors(position: int, number: int) -> None:
    assert draw(SEED, position) == number


@given(position=st.integers(0, 2**64 - 1), seed=st.binary(min_size=32, max_size=32))
def test_a_draw_is_the_first_eight_bytes_of_a_hash(position: int, seed: bytes) -> None:
    digest = tagged(b"draw", seed + position.to_bytes(8, "little"))
    assert draw(Seed(seed), position) == int.from_bytes(digest[:8], "little")


def test_positions_are_64_bit() -> None:
    with pytest.raises(ValueOutOfRange):
        draw(SEED, -1)
    with pytest.raises(ValueOutOfRange):
        draw(SEED, 2**64)


def test_weight_vectors() -> None:
    logits = np.array([0, -0.5, -1, -2.75, -10, -27, -28, -1000], np.float32)
    assert unit_weights(logits).tolist() == [
        1099511627776,
        666887512956,
        404487723187,
        70289426735,
        49917750,
        2,
        0,
        0,
    ]


@given(st.lists(singles, min_size=1, max_size=30))
def test_weights_are_the_exponential_to_within_one(values: list[float]) -> None:
    logits = np.array(values, np.float32)
    with localcontext() as context:
        context.prec = 50
        for weight, value in zip(unit_weights(logits), values, strict=True):
            exact = (Decimal(value) - Decimal(max(values))).exp() * 2**40
            assert abs(int(weight) - int(exact)) <= 1


@given(
    logits=st.dictionaries(st.integers(0, 50_000), singles, min_size=1, max_size=30),
    number=st.integers(0, 2**64 - 1),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_choice_is_the_stated_one_in_any_order_of_candidates(
    logits: dict[int, float], number: int, shuffle: object
) -> None:
    ordered = sorted(logits, key=lambda token: (-logits[token], token))
    weights = unit_weights(np.array([logits[token] for token in ordered], np.float32))
    threshold = Fraction(number, 2**64) * int(sum(weights))
    sums = accumulate(int(weight) for weight in weights)
    token = next(token for token, sum_ in zip(ordered, sums, strict=True) if sum_ > int(threshold))
    mixed = list(logits)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    ids = np.array(mixed, np.int32)
    assert choose(ids, np.array([logits[one] for one in mixed], np.float32), number) == token


def test_draws_follow_the_weights() -> None:
    ids, logits = np.arange(3, dtype=np.int32), np.log(np.array([0.5, 0.3, 0.2], np.float32))
    counts = np.bincount([choose(ids, logits, draw(SEED, p)) for p in range(4000)], minlength=3)
    assert np.abs(counts / 4000 - [0.5, 0.3, 0.2]).max() < 0.03


def test_enormous_logits_are_no_obstacle() -> None:
    ids, logits = np.arange(3, dtype=np.int32), np.array([3e8, 3e8, -3e8], np.float32)
    assert {choose(ids, logits, number) for number in (0, 2**63 - 1, 2**64 - 1)} == {0, 1}


def test_greedy_takes_the_lowest_id_among_equals() -> None:
    assert greedy(np.array([1, 7, 7, 2], np.float32)) == 1
