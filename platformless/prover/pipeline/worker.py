"""A worker: Dramatiq's threads take messages, the steps run in the process's event loop.

    broker ── message ──▶ Dramatiq's thread ──▶ coroutine of a step in the event loop
                            waits for it            └─ ledger, prover process, storage, chain

A message is done when its step has ended, whatever came of it: that is in the ledger.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import Self

import dramatiq
from dramatiq.broker import Consumer
from dramatiq.worker import Worker as DramatiqWorker

from ...errors import PlatformlessError
from ..broker.doorbell import Actor, Doorbell
from ..ledger.job_states import JobQueue
from ..ledger.ledger import Ledger
from .reconciling import Reconciler
from .rules import PipelineRules

log = logging.getLogger(__name__)
Step = Callable[[str], Awaitable[None]]
"""Does what a message asks for, given the job's id."""
_STOP_SECONDS = 5.0
"""How long Dramatiq's threads are waited for. One that has to tell of a message that is done waits
for its broker for ever."""


class PipelineWorker:
    """Runs steps for the messages of some queues, from `async with` to its end. At the end what is
    under way is cancelled: its jobs are given back.

    Args:
        threads: Messages at a time. One for proofs: a prover takes the whole machine.
        background: Coroutines that run besides, such as the watcher.
    """

    def __init__(
        self,
        ledger: Ledger,
        broker: dramatiq.Broker,
        doorbell: Doorbell,
        queues: Collection[JobQueue],
        steps: Mapping[Actor, Step],
        rules: PipelineRules,
        *,
        threads: int,
        background: Collection[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._broker = broker
        self._steps = dict(steps)
        self._doing: set[asyncio.Future[None]] = set()
        self._stopping = False
        self._threads = threads
        reconciler = Reconciler(ledger.jobs, doorbell, queues, rules, self._has_room)
        self._background = [reconciler.run, *background]
        names = {doorbell.name(queue) for queue in queues}
        for actor in self._steps:
            self._declare(actor, min(names))
        for name in names:
            broker.declare_queue(name)
        self._worker = DramatiqWorker(
            broker,
            queues=names,
            worker_timeout=round(rules.poll_seconds * 1000),
            worker_threads=threads,
        )
        # What waits in a busy worker is kept from idle ones.
        self._worker.queue_prefetch = threads
        self._worker.delay_prefetch = 1

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._worker.start)
        self._tasks = [asyncio.ensure_future(run()) for run in self._background]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for doing in list(self._doing):
            doing.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        """Ends Dramatiq's threads. What they had taken is rung for again by others."""
        try:
            self._worker.stop(timeout=round(_STOP_SECONDS * 1000))
        except Exception as error:
            log.warning("the broker was not told of the end: %s", error)
        for consumer in self._worker.consumers.values():
            consumer.consumer = _NobodyToTell()
        self._broker.close()

    def _has_room(self) -> bool:
        return len(self._doing) < self._threads

    def _declare(self, actor: Actor, queue: str) -> None:
        """Messages name their own queue; `queue` is one that exists."""

        def do(job_id: str) -> None:
            self._do(actor, job_id)

        declare = dramatiq.actor(actor_name=actor.value, queue_name=queue, broker=self._broker)
        declare(do)

    def _do(self, actor: Actor, job_id: str) -> None:
        """Runs a step in the event loop; called in a thread of Dramatiq's. Does not raise: a
        message that is refused would be kept as dead, and the ledger has the job anyway."""
        if self._stopping:
            return
        future = asyncio.run_coroutine_threadsafe(self._step(actor, job_id), self._loop)
        try:
            future.result()
        except PlatformlessError as error:
            log.warning("%s %s: %s", actor.value, job_id, error)
        except concurrent.futures.CancelledError:
            log.info("%s %s was stopped", actor.value, job_id)
        except Exception:
            log.exception("%s %s", actor.value, job_id)

    async def _step(self, actor: Actor, job_id: str) -> None:
        if self._stopping:
            return
        doing = asyncio.ensure_future(self._steps[actor](job_id))
        self._doing.add(doing)
        try:
            await doing
        finally:
            self._doing.discard(doing)


class _NobodyToTell(Consumer):
    """In the place of a broker's consumer, so that threads which still try to tell it come to an
    end. The broker gives their messages to others, who find nothing to do."""

    def ack(self, message: object) -> None:
        pass

    def nack(self, message: object) -> None:
        pass
