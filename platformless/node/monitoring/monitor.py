"""All that a node tells about itself. What takes time is asked in the background; what is told is
what is known."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client.metrics_core import Metric

from ...chain.networks import Network
from ...closing import ended
from ...protocol.digests import Address
from .autoscaling import Signals
from .certificate import CertificateWatch, certificate_families
from .chain import ChainReading, ChainWatch, Pace, chain_families
from .counted import Counted
from .exposition import build_families, counted_families, exposed, flag, process_families
from .gpu import Gpus, GpuSource, busiest, gpu_families, open_gpus
from .load import Load, LoadHistory, load_families
from .pipeline import Pipeline, PipelineNumbers, pipeline_families
from .sampled import Sampled
from .system import open_system, system_families

log = logging.getLogger(__name__)
SAMPLE_SECONDS = 5.0
STALE_SECONDS = 20.0
_LEDGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched."""

    network: Network
    host: Address
    data_folder: Path
    public_url: str
    version: str
    commit: str
    zkvm: str


@dataclass(frozen=True, slots=True)
class Ways:
    """How it is watched; other than the defaults for tests."""

    open_gpus: GpuSource = open_gpus
    sample_seconds: float = SAMPLE_SECONDS
    stale_seconds: float = STALE_SECONDS
    chain_pace: Pace = field(default_factory=Pace)
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


class Monitor:
    """Watches while it is open. Use as an asynchronous context manager, in one event loop.

    Args:
        load: The node's, now.
        health: Whether the node is healthy; answers within seconds.
    """

    def __init__(
        self,
        watched: Watched,
        counted: Counted,
        pipeline: Pipeline,
        load: Callable[[], Load],
        health: Callable[[], Awaitable[bool]],
        ways: Ways | None = None,
    ) -> None:
        self._watched = watched
        self._counted = counted
        self._pipeline = pipeline
        self._pipeline_asked: asyncio.Task[PipelineNumbers] | None = None
        self._load = load
        self._health = health
        self._ways = ways or Ways()
        self._history = LoadHistory(load, self._cpu, self._gpu, counted.first_tokens)
        self._parts = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        watched, ways = self._watched, self._ways
        async with contextlib.AsyncExitStack() as parts:
            self._chain = await parts.enter_async_context(
                ChainWatch(watched.network, watched.host, ways.clock_ms, ways.chain_pace)
            )
            self._certificate = await parts.enter_async_context(
                CertificateWatch(watched.public_url)
            )
            self._gpus = await parts.enter_async_context(
                Sampled("GPUs", ways.open_gpus, ways.sample_seconds, ways.stale_seconds)
            )
            self._system = await parts.enter_async_context(
                Sampled(
                    "machine",
                    lambda: open_system(watched.data_folder),
                    ways.sample_seconds,
                    ways.stale_seconds,
                )
            )
            parts.push_async_callback(ended, asyncio.create_task(self._history.keep_looking()))
            await self._chain.asked()  # else the first who asks hears of a chain that is silent
            self._parts = parts.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._parts.aclose()
        await ended(self._pipeline_asked)

    @property
    def load(self) -> Load:
        return self._load()

    @property
    def gpus(self) -> Gpus:
        """None there, or none that tells: empty."""
        return self._gpus.newest() or ()

    @property
    def chain(self) -> ChainReading:
        return self._chain.reading()

    def signals(self) -> Signals:
        return self._history.signals()

    async def metrics(self) -> bytes:
        """Everything in Prometheus' text format. What cannot be had is left out."""
        healthy, numbers = await asyncio.gather(self._health(), self._pipeline_numbers())
        return exposed(self._families(healthy, numbers))

    def _families(self, healthy: bool, numbers: PipelineNumbers | None) -> Iterable[Metric]:
        watched = self._watched
        yield from build_families(watched.version, watched.commit, watched.zkvm)
        yield flag("healthy", "Whether nothing is wrong with the node.", healthy)
        yield from load_families(self._load(), self._history.idle_seconds)
        yield from counted_families(self._counted)
        yield from self._machine()
        yield from chain_families(self.chain)
        yield from certificate_families(self._certificate.known)
        yield flag("ledger_reachable", "Whether the ledger told of jobs.", numbers is not None)
        if numbers is not None:
            yield from pipeline_families(numbers)

    def _machine(self) -> Iterator[Metric]:
        system = self._system.newest()
        if system is not None:
            yield from system_families(system)
        yield from gpu_families(self.gpus)
        yield from process_families()

    async def _pipeline_numbers(self) -> PipelineNumbers | None:
        """None when the ledger does not tell within seconds. What takes longer goes on, and is
        told the next time."""
        if self._pipeline_asked is None:
            self._pipeline_asked = asyncio.create_task(self._pipeline.numbers())
        asked = self._pipeline_asked
        await asyncio.wait({asked}, timeout=_LEDGER_SECONDS)
        if not asked.done():
            return None
        self._pipeline_asked = None
        if (error := asked.exception()) is not None:
            log.warning("the ledger does not tell of jobs: %s", error)
            return None
        return asked.result()

    def _cpu(self) -> float | None:
        system = self._system.newest()
        return None if system is None else system.cpu_utilisation

    def _gpu(self) -> float | None:
        return busiest(self.gpus)
