"""What a trace should take, from what the last ones took."""

from __future__ import annotations

import pytest

from platformless.protocol.trace.nodes import ModelShape
from platformless.prover.pipeline.trace_pace import TracePace

SHAPE = ModelShape(30, 576, 9, 3, 64, 1536, 49152)
MODEL_BYTES = 98_000_000


def pace() -> TracePace:
    return TracePace(SHAPE, MODEL_BYTES)


def test_it_grows_faster_than_the_tokens() -> None:
    short = pace()
    short.took(64, 1.0)
    assert short.expected_seconds(64) == pytest.approx(1.0)
    assert short.expected_seconds(4096) > 2 * 64
    assert pace().expected_seconds(4096) > 4096 * pace().expected_seconds(1)


def test_a_measured_run_takes_the_place_of_the_guess() -> None:
    slow = pace()
    slow.took(64, 1000.0)
    assert slow.expected_seconds(64) == pytest.approx(1000.0)


def test_one_slow_run_changes_nothing_and_many_do() -> None:
    known = pace()
    known.took(64, 1.0)
    for _ in range(7):
        known.took(64, 50.0)
    assert known.expected_seconds(64) == pytest.approx(1.0)
    known.took(64, 50.0)
    assert known.expected_seconds(64) == pytest.approx(50.0)
