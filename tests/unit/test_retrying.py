"""When to ask again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.retrying import Backoff, rest_asked


@pytest.mark.parametrize(
    ("value", "expected"),
    [("3", 3.0), ("0", 0.0), ("100000", 60.0), ("-5", 0.0), ("soon", None), ("nan", None)],
)
def test_retry_after_is_read_within_reason(value: str, expected: float | None) -> None:
    assert rest_asked({"retry-after": value}) == expected


def test_retry_after_may_be_a_date() -> None:
    assert rest_asked({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert rest_asked({}) is None


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_rests_double_up_to_the_longest(failures: int, chance: float) -> None:
    backoff = Backoff(0.5, 60.0)
    rest = backoff.rest_seconds(failures, chance=lambda: chance)
    assert 0.25 <= rest <= 60.0
    assert rest <= backoff.rest_seconds(failures + 1, chance=lambda: chance)
