"""Whether a host needs more nodes or fewer: the deployment guide's thresholds as one function.

    up      utilisation over 0.8 for a minute, or more than 10 prompts in line, or more than 5 s
            to the first token
    down    utilisation under 0.2 for a minute, and no active session for 15 minutes
    hold    otherwise, and while the node is about to stop

`desired_replicas` is the formula of Kubernetes' HorizontalPodAutoscaler,
ceil(replicas * metric / target), for the metric that asks for most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

FORMAT = "autoscaling/1"
UTILISATION_HIGH = 0.8
UTILISATION_LOW = 0.2
QUEUE_HIGH = 10
LATENCY_HIGH_SECONDS = 5.0
IDLE_SECONDS = 15 * 60.0
SUSTAINED_SECONDS = 60.0
"""Utilisation is the mean of so long, and says nothing before so much was seen."""
LATENCY_SECONDS = 300.0
"""Prompts of so long make the latency."""
MOST_REPLICAS = 10_000

Recommendation = Literal["up", "hold", "down"]


@dataclass(frozen=True, slots=True)
class Signals:
    """What a node saw. Ratios are 0 to 1."""

    cpu_utilisation: float
    gpu_utilisation: float
    """Of the busiest GPU; 0 without one."""
    engine_utilisation: float
    """Sequences that are generating, of all."""
    observed_seconds: float
    """How much of the last minute the utilisation is known of."""
    queue_depth: int
    """Prompts in line."""
    latency_seconds: float
    """95 % of prompts waited less for their first token; 0 when there were none."""
    active_sessions: int
    idle_seconds: float
    """Since there was last an active session."""
    is_draining: bool = False

    @property
    def utilisation(self) -> float:
        return max(self.cpu_utilisation, self.gpu_utilisation, self.engine_utilisation)

    @property
    def is_sustained(self) -> bool:
        return self.observed_seconds >= SUSTAINED_SECONDS


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, why, and how many nodes there should be."""

    recommendation: Recommendation
    because: tuple[str, ...]
    desired_replicas: int


class AutoscalingBody(Struct, frozen=True, kw_only=True):
    """As a scaler reads it: every field but `format`, `recommendation` and `because` a number."""

    format: str = FORMAT
    recommendation: Recommendation
    because: tuple[str, ...]
    utilisation: float
    cpu_utilisation: float
    gpu_utilisation: float
    engine_utilisation: float
    observed_seconds: float
    queue_depth: int
    latency_seconds: float
    active_sessions: int
    idle_seconds: float
    replicas: int
    desired_replicas: int


def decide(signals: Signals, replicas: int = 1) -> Decision:
    """What the signals of one node mean where `replicas` nodes run that are as busy.

    Up asks for at least one more. Down asks for what the utilisation needs, at least one fewer,
    and never for less than one: a node that is gone could not be asked any more.
    """
    if signals.is_draining:
        return Decision("hold", ("the node is about to stop",), replicas)
    reasons = _too_much(signals)
    if reasons:
        return Decision("up", reasons, max(replicas + 1, _by_formula(signals, replicas)))
    if _is_idle(signals):
        because = (
            f"utilisation {signals.utilisation:.2f} is under {UTILISATION_LOW:g}",
            f"no active session for {signals.idle_seconds:.0f} s",
        )
        wanted = min(replicas - 1, _by_formula(signals, replicas))
        return Decision("down", because, max(1, wanted))
    return Decision("hold", (_middle(signals),), replicas)


def document(signals: Signals, replicas: int = 1) -> AutoscalingBody:
    """The signals and what they mean."""
    decision = decide(signals, replicas)
    return AutoscalingBody(
        recommendation=decision.recommendation,
        because=decision.because,
        utilisation=round(signals.utilisation, 4),
        cpu_utilisation=round(signals.cpu_utilisation, 4),
        gpu_utilisation=round(signals.gpu_utilisation, 4),
        engine_utilisation=round(signals.engine_utilisation, 4),
        observed_seconds=round(signals.observed_seconds, 1),
        queue_depth=signals.queue_depth,
        latency_seconds=round(signals.latency_seconds, 3),
        active_sessions=signals.active_sessions,
        idle_seconds=round(signals.idle_seconds, 1),
        replicas=replicas,
        desired_replicas=decision.desired_replicas,
    )


def _too_much(signals: Signals) -> tuple[str, ...]:
    found = []
    if signals.is_sustained and signals.utilisation > UTILISATION_HIGH:
        found.append(f"utilisation {signals.utilisation:.2f} is over {UTILISATION_HIGH:g}")
    if signals.queue_depth > QUEUE_HIGH:
        found.append(f"{signals.queue_depth} prompts in line, over {QUEUE_HIGH}")
    if signals.latency_seconds > LATENCY_HIGH_SECONDS:
        found.append(
            f"{signals.latency_seconds:.1f} s to the first token, over {LATENCY_HIGH_SECONDS:g} s"
        )
    return tuple(found)


def _is_idle(signals: Signals) -> bool:
    return (
        signals.is_sustained
        and signals.utilisation < UTILISATION_LOW
        and signals.active_sessions == 0
        and signals.queue_depth == 0
        and signals.idle_seconds >= IDLE_SECONDS
    )


def _by_formula(signals: Signals, replicas: int) -> int:
    ratios = [signals.queue_depth / QUEUE_HIGH, signals.latency_seconds / LATENCY_HIGH_SECONDS]
    if signals.is_sustained:
        ratios.append(signals.utilisation / UTILISATION_HIGH)
    return min(math.ceil(replicas * max(ratios)), max(MOST_REPLICAS, replicas + 1))


def _middle(signals: Signals) -> str:
    if not signals.is_sustained:
        return f"seen for {signals.observed_seconds:.0f} s of {SUSTAINED_SECONDS:.0f}"
    if signals.utilisation >= UTILISATION_LOW:
        return f"utilisation {signals.utilisation:.2f} is not over {UTILISATION_HIGH:g}"
    if signals.active_sessions:
        return f"{signals.active_sessions} active sessions"
    return f"no active session for {signals.idle_seconds:.0f} s of {IDLE_SECONDS:.0f}"
