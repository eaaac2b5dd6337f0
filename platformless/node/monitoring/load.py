"""How much a node has to do: at a moment, and over the last minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from .autoscaling import SUSTAINED_SECONDS, Signals
from .latency import FirstTokens
from .windows import Clock, Window


@dataclass(frozen=True, slots=True)
class Load:
    """A node at a moment."""

    connections: int
    """WebSockets."""
    active_sessions: int
    """That a client is connected to, or waits for an answer of."""
    queued: int
    """Prompts in line."""
    generating: int
    """Prompts that are answered."""
    sequences: int
    """Prompts that can be answered at once."""
    is_model_loaded: bool
    is_draining: bool

    @property
    def engine_utilisation(self) -> float:
        return min(1.0, self.generating / self.sequences)


class LoadHistory:
    """Looked at every second (`look`): the last minute's means, and since when nothing is done.

    Args:
        cpu, gpu: How busy they are now, 0 to 1; None when that is not known.
        clock: For tests.
    """

    def __init__(
        self,
        load: Callable[[], Load],
        cpu: Callable[[], float | None],
        gpu: Callable[[], float | None],
        first_tokens: FirstTokens,
        clock: Clock = time.monotonic,
    ) -> None:
        self._load = load
        self._cpu, self._gpu = cpu, gpu
        self._first_tokens = first_tokens
        self._clock = clock
        self._active_at = clock()
        self._cpu_seen, self._gpu_seen, self._engine_seen = (
            Window(SUSTAINED_SECONDS, clock=clock) for _ in range(3)
        )

    def look(self) -> Load:
        """Takes note of the present."""
        load = self._load()
        if load.active_sessions:
            self._active_at = self._clock()
        self._engine_seen.add(load.engine_utilisation)
        for window, value in ((self._cpu_seen, self._cpu()), (self._gpu_seen, self._gpu())):
            if value is not None:
                window.add(value)
        return load

    @property
    def idle_seconds(self) -> float:
        """Since there was last an active session, or since the node started."""
        if self._load().active_sessions:
            return 0.0
        return min(self._clock() - self._active_at, self._first_tokens.silent_seconds)

    def signals(self) -> Signals:
        load = self._load()
        return Signals(
            cpu_utilisation=self._cpu_seen.mean() or 0.0,
            gpu_utilisation=self._gpu_seen.mean() or 0.0,
            engine_utilisation=self._engine_seen.mean() or 0.0,
            observed_seconds=self._engine_seen.observed_seconds,
            queue_depth=load.queued,
            latency_seconds=self._first_tokens.most_seconds(),
            active_sessions=load.active_sessions,
            idle_seconds=self.idle_seconds,
            is_draining=load.is_draining,
        )

    async def keep_looking(self, seconds: float = 1.0) -> None:
        """Runs for ever."""
        while True:
            self.look()
            await asyncio.sleep(seconds)


def load_families(load: Load, idle_seconds: float) -> Iterator[Metric]:
    """The present as Prometheus names it."""
    told = (
        ("websocket_connections", "Open WebSockets.", load.connections),
        ("active_sessions", "Sessions that a client is connected to.", load.active_sessions),
        ("queued_prompts", "Prompts in line.", load.queued),
        ("generating_prompts", "Prompts that are answered now.", load.generating),
        (
            "engine_utilisation_ratio",
            "Prompts answered of those that can be, 0 to 1.",
            load.engine_utilisation,
        ),
        ("idle_seconds", "Since there was last an active session.", idle_seconds),
        ("model_loaded", "Whether the model runs.", load.is_model_loaded),
        ("draining", "Whether the node is about to stop.", load.is_draining),
    )
    for name, help_text, value in told:
        yield GaugeMetricFamily(f"platformless_{name}", help_text, value=value)
