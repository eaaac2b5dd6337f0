"""Generation against replay, in pairs: `python -m benchmarks.replay` calls it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

from platformless.engine.model import packaged_model
from platformless.engine.replay import Replayer, exact_settings, statistical_settings

from .replay_cases import EXACT_HOST, GREEDY, USUAL, session
from .replay_data import replayed, say
from .replay_hosts import Host, record


@dataclass(frozen=True)
class Pair:
    """Completion tokens a second."""

    sampler: str
    tokens: int
    generated: float
    """By one thread, as a host that can be replayed exactly does."""
    generated_two: float
    """By two threads, without flash attention: the node's defaults on this machine."""
    exact: float
    statistical: float


def measure(rounds: int, tokens: int) -> list[Pair]:
    hosts = (
        replace(EXACT_HOST, company=1),
        Host("defaults", str(packaged_model()), threads=2, company=1),
    )
    found = []
    for name, sampler in (("greedy", GREEDY), ("T 0.7", USUAL)):
        for number in range(rounds):
            asked = session(number, sampler, "speed", 1, tokens)
            made, made_two = (record(host, [asked])[0] for host in hosts)
            speeds = []
            for settings in (
                exact_settings(packaged_model()),
                statistical_settings(packaged_model()),
            ):
                with Replayer.open(settings) as replayer:
                    replayed(replayer, "warm-up", made)
                    speeds.append(made.tokens / replayed(replayer, "speed", made).seconds)
            found.append(
                Pair(
                    name,
                    made.tokens,
                    (made.tokens - 1) / made.seconds,
                    (made_two.tokens - 1) / made_two.seconds,
                    *speeds,
                )
            )
            say(f"speed: {found[-1]}")
    return found


def median_of(pairs: list[Pair], sampler: str) -> Pair:
    some = [pair for pair in pairs if pair.sampler == sampler]
    fields = ("generated", "generated_two", "exact", "statistical")
    return Pair(
        sampler,
        round(statistics.median(pair.tokens for pair in some)),
        *(statistics.median(getattr(pair, field) for pair in some) for field in fields),
    )
