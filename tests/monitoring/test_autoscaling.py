"""What a node's signals mean for the number of nodes."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.node.monitoring.autoscaling import (
    IDLE_SECONDS,
    MOST_REPLICAS,
    Signals,
    decide,
    document,
)

QUIET = Signals(
    cpu_utilisation=0.5,
    gpu_utilisation=0.0,
    engine_utilisation=0.4,
    observed_seconds=60,
    queue_depth=0,
    latency_seconds=0.3,
    active_sessions=2,
    idle_seconds=0,
)
IDLE = replace(
    QUIET, cpu_utilisation=0.1, engine_utilisation=0.0, active_sessions=0, idle_seconds=900
)
ratios = st.floats(0, 1)
replicas = st.integers(1, MOST_REPLICAS)
signals = st.builds(
    Signals,
    cpu_utilisation=ratios,
    gpu_utilisation=ratios,
    engine_utilisation=ratios,
    observed_seconds=st.sampled_from([0.0, 30.0, 60.0]),
    queue_depth=st.integers(0, 100),
    latency_seconds=st.floats(0, 600),
    active_sessions=st.integers(0, 100),
    idle_seconds=st.floats(0, 1e6),
    is_draining=st.booleans(),
)


def test_a_node_with_work_to_do_is_left_alone() -> None:
    decision = decide(QUIET, 3)
    assert (decision.recommendation, decision.desired_replicas) == ("hold", 3)
    assert decision.because == ("utilisation 0.50 is not over 0.8",)


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"cpu_utilisation": 0.81}, "utilisation 0.81 is over 0.8"),
        ({"gpu_utilisation": 0.95}, "utilisation 0.95 is over 0.8"),
        ({"engine_utilisation": 1.0}, "utilisation 1.00 is over 0.8"),
        ({"queue_depth": 11}, "11 prompts in line, over 10"),
        ({"latency_seconds": 5.1}, "5.1 s to the first token, over 5 s"),
    ],
)
def test_each_threshold_of_the_guide_asks_for_more(change: dict[str, float], because: str) -> None:
    decision = decide(replace(QUIET, **change))  # type: ignore[arg-type]
    assert (decision.recommendation, decision.because) == ("up", (because,))
    assert decision.desired_replicas == 2


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_utilisation": 0.8},
        {"queue_depth": 10},
        {"latency_seconds": 5.0},
        {"cpu_utilisation": 1.0, "observed_seconds": 59.0},
    ],
)
def test_a_threshold_must_be_passed_and_utilisation_must_last(change: dict[str, float]) -> None:
    assert decide(replace(QUIET, **change)).recommendation == "hold"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"idle_seconds": IDLE_SECONDS - 1},
        {"active_sessions": 1},
        {"cpu_utilisation": 0.2},
        {"observed_seconds": 10.0},
        {"is_draining": True},
    ],
)
def test_one_that_is_idle_in_every_respect_may_go(change: dict[str, float]) -> None:
    assert decide(IDLE, 4).recommendation == "down"
    assert decide(IDLE, 4).desired_replicas == 1
    assert decide(replace(IDLE, **change), 4).recommendation == "hold"  # type: ignore[arg-type]


def test_the_last_one_stays() -> None:
    decision = decide(IDLE, 1)
    assert (decision.recommendation, decision.desired_replicas) == ("down", 1)


@given(signals, replicas)
def test_the_number_goes_where_the_recommendation_says(seen: Signals, count: int) -> None:
    decision = decide(seen, count)
    assert decision.because
    wanted = decision.desired_replicas
    if decision.recommendation == "up":
        assert wanted > count
    elif decision.recommendation == "down":
        assert wanted == max(1, wanted) <= max(1, count - 1)
    else:
        assert wanted == count
    assert wanted <= MOST_REPLICAS + 1


@given(signals, replicas)
def test_up_is_what_the_autoscaler_of_kubernetes_would_compute(seen: Signals, count: int) -> None:
    decision = decide(seen, count)
    if decision.recommendation != "up":
        return
    metrics = [seen.queue_depth / 10, seen.latency_seconds / 5]
    if seen.is_sustained:
        metrics.append(seen.utilisation / 0.8)
    formula = math.ceil(count * max(metrics))
    assert decision.desired_replicas == max(count + 1, min(formula, max(MOST_REPLICAS, count + 1)))


@given(signals, st.integers(0, 50), st.floats(0, 100), ratios)
def test_more_load_never_asks_for_fewer(
    seen: Signals, prompts: int, seconds: float, busier: float
) -> None:
    more = replace(
        seen,
        queue_depth=seen.queue_depth + prompts,
        latency_seconds=seen.latency_seconds + seconds,
        cpu_utilisation=max(seen.cpu_utilisation, busier),
    )
    assert decide(more, 5).desired_replicas >= decide(seen, 5).desired_replicas


@given(signals, replicas)
def test_a_scaler_reads_plain_numbers(seen: Signals, count: int) -> None:
    told = msgspec.json.decode(msgspec.json.encode(document(seen, count)))
    assert told.pop("format") == "autoscaling/1"
    assert told.pop("recommendation") in {"up", "hold", "down"}
    assert all(isinstance(reason, str) for reason in told.pop("because"))
    assert all(isinstance(number, int | float) for number in told.values())
    assert {"utilisation", "queue_depth", "latency_seconds", "active_sessions"} < told.keys()
    assert {"idle_seconds", "desired_replicas"} < told.keys()
