"""The last minutes: means, what prompts waited, since when nothing is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.node.monitoring.latency import FirstTokens
from platformless.node.monitoring.load import Load, LoadHistory
from platformless.node.monitoring.windows import Window, percentile

NOTHING = Load(
    connections=0,
    active_sessions=0,
    queued=0,
    generating=0,
    sequences=4,
    is_model_loaded=True,
    is_draining=False,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Machine:
    """A node's load and how busy its machine is, as a test sets them."""

    clock: Clock
    load: Load = NOTHING
    cpu: float | None = 0.0
    gpu: float | None = None

    def __post_init__(self) -> None:
        self.first_tokens = FirstTokens(self.clock)
        self.history = LoadHistory(
            lambda: self.load, lambda: self.cpu, lambda: self.gpu, self.first_tokens, self.clock
        )

    def go(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.now += 1
            self.history.look()


@pytest.fixture
def machine() -> Machine:
    return Machine(Clock())


def test_utilisation_is_the_mean_of_a_minute_of_the_busiest_part(machine: Machine) -> None:
    machine.cpu, machine.gpu, machine.load = 0.5, 0.25, replace(NOTHING, generating=4)
    machine.go(200)
    signals = machine.history.signals()
    assert (signals.cpu_utilisation, signals.gpu_utilisation) == (0.5, 0.25)
    assert (signals.engine_utilisation, signals.utilisation) == (1.0, 1.0)
    assert signals.is_sustained
    machine.cpu, machine.load = 0.0, NOTHING
    machine.go(30)
    signals = machine.history.signals()
    assert signals.engine_utilisation == pytest.approx(0.5, abs=0.02)
    machine.go(31)
    assert machine.history.signals().utilisation == 0.25


def test_a_minute_must_have_been_seen(machine: Machine) -> None:
    machine.go(30)
    assert not machine.history.signals().is_sustained
    machine.go(31)
    assert machine.history.signals().is_sustained


def test_what_cannot_be_read_counts_as_not_busy(machine: Machine) -> None:
    machine.cpu = None
    machine.go(61)
    assert machine.history.signals().utilisation == 0


def test_a_node_is_idle_since_its_last_session(machine: Machine) -> None:
    machine.go(10)
    assert machine.history.idle_seconds == 10
    machine.load = replace(NOTHING, active_sessions=1)
    machine.go(5)
    assert machine.history.idle_seconds == 0
    machine.load = NOTHING
    machine.go(900)
    assert machine.history.idle_seconds == 900


def test_a_prompt_between_two_looks_counts_as_a_session(machine: Machine) -> None:
    machine.go(100)
    machine.first_tokens.end(machine.first_tokens.begin())
    machine.go(3)
    assert machine.history.idle_seconds == 3


def test_latency_is_what_nearly_all_prompts_waited_in_five_minutes(machine: Machine) -> None:
    tokens, clock = machine.first_tokens, machine.clock
    for seconds in [0.5] * 99 + [9.0] * 2:
        prompt = tokens.begin()
        clock.now += seconds
        assert tokens.arrived(prompt) == seconds
        assert tokens.arrived(prompt) is None
        tokens.end(prompt)
    assert tokens.most_seconds() == 0.5
    clock.now += 301
    assert tokens.most_seconds() == 0


def test_a_prompt_that_still_waits_counts_with_what_it_has_waited(machine: Machine) -> None:
    prompt = machine.first_tokens.begin()
    machine.clock.now += 7
    assert machine.first_tokens.most_seconds() == 7
    machine.first_tokens.end(prompt)
    assert machine.first_tokens.most_seconds() == 0


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < max(1, share * len(values))


def test_a_window_holds_no_more_than_it_may() -> None:
    window = Window(60, most=10, clock=Clock())
    for number in range(1000):
        window.add(number)
    assert window.values() == list(range(990, 1000))
