"""Buckets: what they give, and that a full table gives nobody more."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformless.node.guard.buckets import Bucket, Buckets, Limit

from .clock import Clock

limits = st.builds(
    Limit, st.floats(0.01, 1000, allow_nan=False, allow_infinity=False), st.integers(1, 50)
)
pauses = st.floats(0, 100, allow_nan=False)


@given(limit=limits)
def test_a_quiet_bucket_gives_its_burst_and_no_more(limit: Limit) -> None:
    clock = Clock()
    bucket = Bucket(limit, clock)
    assert [bucket.take() for _ in range(limit.burst)] == [0.0] * limit.burst
    assert bucket.take() > 0
    clock.go(1e9)
    assert [bucket.take() for _ in range(limit.burst)] == [0.0] * limit.burst
    assert bucket.take() > 0


@given(limit=limits, waits=st.lists(pauses, max_size=60))
def test_in_any_time_no_more_than_burst_and_rate(limit: Limit, waits: list[float]) -> None:
    clock = Clock()
    bucket = Bucket(limit, clock)
    given_at: list[float] = []
    for wait in waits:
        clock.go(wait)
        if not bucket.take():
            given_at.append(clock.now)
    for first, since in enumerate(given_at):
        for last in range(first, len(given_at)):
            earned = (given_at[last] - since) * limit.per_second * 1.001
            assert last - first + 1 <= limit.burst + earned + 1e-3


@given(limit=limits, takes=st.integers(1, 60))
def test_who_waits_as_long_as_told_is_served(limit: Limit, takes: int) -> None:
    clock = Clock()
    bucket = Bucket(limit, clock)
    for _ in range(takes):
        wait = bucket.take()
        if wait:
            clock.go(wait + 1e-6)
            assert bucket.take() == 0.0


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    bucket = Bucket(Limit(1, 1), clock)
    bucket.take()
    for _ in range(1000):
        assert bucket.take() > 0
    clock.go(1)
    assert bucket.take() == 0.0


@settings(max_examples=200)
@given(
    limit=limits,
    most_keys=st.integers(1, 4),
    steps=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([0.0, 0.0, 0.01, 1.0])), max_size=200
    ),
)
def test_a_full_table_gives_no_key_more_than_its_limit(
    limit: Limit, most_keys: int, steps: list[tuple[int, float]]
) -> None:
    clock = Clock()
    buckets = Buckets(limit, most_keys, clock)
    given_at: dict[int, list[float]] = defaultdict(list)
    for key, wait in steps:
        clock.go(wait)
        if not buckets.take(bytes([key])):
            given_at[key].append(clock.now)
        assert len(buckets) <= most_keys
    for times in given_at.values():
        for first, since in enumerate(times):
            for last in range(first, len(times)):
                earned = (times[last] - since) * limit.per_second * 1.001
                assert last - first + 1 <= limit.burst + earned + 1e-3


def test_a_key_that_was_pushed_out_comes_back_as_empty_as_it_went() -> None:
    clock = Clock()
    buckets = Buckets(Limit(1, 5), most_keys=100, clock=clock)
    assert [buckets.take(b"attacker") for _ in range(5)] == [0.0] * 5
    for number in range(1000):
        buckets.take(b"%d" % number)
    assert len(buckets) == 100
    assert buckets.take(b"attacker") == pytest.approx(1.0)
    clock.go(1)
    assert buckets.take(b"attacker") == 0.0


def test_few_strangers_pay_for_the_many_that_were_pushed_out() -> None:
    """65,536 places for debts: of 650 an honest client meets one in a hundred."""
    clock = Clock()
    buckets = Buckets(Limit(1, 1), most_keys=100, clock=clock)
    for number in range(750):
        buckets.take(b"attacker %d" % number)
    strangers = [buckets.take(b"stranger %d" % number) for number in range(2000)]
    assert 0 < sum(map(bool, strangers)) + 1 < 2000 // 10
    clock.go(1)
    assert not any(buckets.take(b"later %d" % number) for number in range(50))


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    buckets = Buckets(Limit(10, 5), most_keys=1000, clock=clock)
    for number in range(1000):
        buckets.take(b"%d" % number)
    clock.go(1)
    for _ in range(600):
        buckets.take(b"one")
    assert len(buckets) <= 2
