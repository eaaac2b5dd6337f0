"""The worker that builds proofs. It is given no key, and keeps nothing but temporary files. Where
traces are made it runs the model as well."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ...chain.connection import Chain
from ...chain.networks import Network
from ...locks import FileLock
from ...prover.broker.doorbell import Actor, Doorbell
from ...prover.broker.opening import open_broker
from ...prover.ledger.job_states import PROOF_QUEUES, JobQueue
from ...prover.ledger.jobs import clock_ms
from ...prover.ledger.ledger import Ledger
from ...prover.pipeline.context import StepContext
from ...prover.pipeline.provers import Provers
from ...prover.pipeline.proving import Proving
from ...prover.pipeline.worker import PipelineWorker, Step
from ..backing import broker_url, ledger_settings
from ..errors import QueuesRefused
from ..settings import WorkerSettings
from .common import chain_tag_in_time, owner, pipeline_rules

if TYPE_CHECKING:
    from ...prover.pipeline.tracing import Tracer

SCRATCH = "proving"
"""Where in the data folder provers make temporary files."""


class ProofWorker:
    """Builds proofs, one at a time, from `async with` to its end.

    Args:
        provers: In place of those that are installed, for tests.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        network: Network,
        queues: Collection[JobQueue] = PROOF_QUEUES,
        provers: Provers | None = None,
    ) -> None:
        self._settings = settings
        self._network = network
        self._queues = queues
        self._provers = provers
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> ProofWorker:
        async with AsyncExitStack() as parts:
            settings, rules = self._settings, pipeline_rules(self._settings)
            traced = settings.trace != "off"
            queues = _served(self._queues, traced)
            tag = await chain_tag_in_time(self._network)
            ledger = await parts.enter_async_context(
                await Ledger.open(ledger_settings(settings, tag))
            )
            provers = await parts.enter_async_context(
                self._provers
                or await Provers.found(
                    receipt_kind=settings.receipt_kind, memory_bytes=rules.prover_memory_bytes
                )
            )
            broker = open_broker(broker_url(settings))
            doorbell = Doorbell(broker, tag)
            context = StepContext(ledger, doorbell, rules, owner(), clock_ms)
            steps: dict[Actor, Step] = {}
            tracer = await parts.enter_async_context(await _tracer(settings)) if traced else None
            if queues != {JobQueue.AUDIT}:
                steps[Actor.PROVE] = Proving(context, provers, tracer).prove
            if tracer is not None and JobQueue.AUDIT in queues:
                from ...prover.pipeline.sample_proving import SampleProving

                chain = await parts.enter_async_context(Chain(self._network))
                steps[Actor.SAMPLE] = SampleProving(context, chain, provers, tracer).prove
            worker = PipelineWorker(
                ledger,
                broker,
                doorbell,
                queues,
                steps,
                rules,
                threads=1,
            )
            await parts.enter_async_context(worker)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()


def _served(queues: Collection[JobQueue], traced: bool) -> set[JobQueue]:
    """Who traces nothing has no model, and leaves sampled cells to others.

    Raises:
        QueuesRefused: when nothing is left.
    """
    served = set(queues) - (set() if traced else {JobQueue.AUDIT})
    if not served:
        raise QueuesRefused(
            "sampled cells are proven by workers that trace",
            expected="TRACE=sampled or TRACE=always",
            got="TRACE=off",
        )
    return served


async def _tracer(settings: WorkerSettings) -> Tracer:
    from ...prover.pipeline.tracing import Tracer  # it brings llama.cpp

    return await Tracer.open(settings.model_path, threads=settings.trace_threads)


@contextlib.contextmanager
def own_scratch(folder: Path) -> Iterator[None]:
    """A folder in `folder` for the temporary files of this process and of those that it starts. It
    is emptied at the end; what a killed process has left in it, by the next one that takes it. A
    prover that is killed leaves its segments behind, which may be large."""
    folder.mkdir(parents=True, exist_ok=True)
    locks = (FileLock(folder / f"{number}.lock") for number in itertools.count())
    lock, number = next((lock, number) for number, lock in enumerate(locks) if lock.take())
    mine = folder.absolute() / str(number)
    before = os.environ.get("TMPDIR")
    try:
        shutil.rmtree(mine, ignore_errors=True)
        mine.mkdir(exist_ok=True)
        os.environ["TMPDIR"] = str(mine)
        yield
    finally:
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before
        shutil.rmtree(mine, ignore_errors=True)
        lock.release()
