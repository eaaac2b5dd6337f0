"""A whole pipeline in one event loop, and what becomes of its jobs. The prover is a stand-in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from dramatiq.worker import ConsumerThread, WorkerThread

from platformless.chain.sending.sender import TransactionSender
from platformless.protocol.host_key import LocalKey
from platformless.prover.broker.doorbell import Actor, Doorbell
from platformless.prover.broker.opening import open_broker
from platformless.prover.ledger.job_states import OVER, JobQueue, JobState
from platformless.prover.ledger.job_values import Job, checkpoint_job
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.pipeline.context import StepContext
from platformless.prover.pipeline.provers import Provers, WindowProver
from platformless.prover.pipeline.proving import Proving
from platformless.prover.pipeline.publishing import Publishing
from platformless.prover.pipeline.rules import PipelineRules
from platformless.prover.pipeline.sample_proving import SampleProving
from platformless.prover.pipeline.sample_publishing import SamplePublishing
from platformless.prover.pipeline.settling import Settling
from platformless.prover.pipeline.submitting import Submitting
from platformless.prover.pipeline.taking_over import TakingOver
from platformless.prover.pipeline.tracing import Tracer
from platformless.prover.pipeline.watching import ChainWatcher
from platformless.prover.pipeline.worker import PipelineWorker
from platformless.prover.sample import PlanOf
from platformless.storage.publication import CheckpointPublisher
from tests.chain.world import AT_ONCE

from .stage import Stage
from .stand_in import StandInProver

LIMIT_SECONDS = 60.0
TIME_PASSES_FOR = ("CHN-205", "CHN-208")
"""Codes of those who wait for a time that is known: the rate limit's, the dispute window's end."""


class Line(Stage):
    """A stage with workers, which `proving` and `settling` start."""

    # Workers

    @asynccontextmanager
    async def proving(
        self,
        *provers: WindowProver,
        owner: str = "prover",
        rules: PipelineRules | None = None,
        ledger: Ledger | None = None,
        tracer: Tracer | None = None,
    ) -> AsyncIterator[Proving]:
        """A worker that builds proofs with stand-ins, the preferred one first."""
        by_device = {
            one.device if isinstance(one, StandInProver) else "cpu": one
            for one in provers or [StandInProver()]
        }
        context = StepContext(
            ledger or self.ledger, self.doorbell, rules or self.rules, owner, self.clock_ms
        )
        proving = Proving(context, Provers(by_device), tracer)
        worker = self._worker([JobQueue.LIVE], {Actor.PROVE: proving.prove}, 1, rules=rules)
        async with worker:
            yield proving

    @asynccontextmanager
    async def sampling(
        self,
        tracer: Tracer,
        prover: WindowProver,
        *,
        plan_of: PlanOf | None = None,
        rules: PipelineRules | None = None,
    ) -> AsyncIterator[None]:
        """A worker that samples cells of traces."""
        context = StepContext(
            self.ledger, self.doorbell, rules or self.rules, "sampler", self.clock_ms
        )
        step = SampleProving(context, self.chain, Provers({"cpu": prover}), tracer, plan_of)
        async with self._worker([JobQueue.AUDIT], {Actor.SAMPLE: step.prove}, 1, rules=rules):
            yield

    @asynccontextmanager
    async def settling(
        self,
        *,
        outbox: str = "outbox.db",
        watch: bool = False,
        publication: Path | None = None,
        only: Collection[Actor] = tuple(Actor),
    ) -> AsyncIterator[ChainWatcher]:
        """The process with the host's key; or one that does some of the steps, and the others
        never."""
        async with AsyncExitStack() as parts:
            account, address = self.world.account(self.host), self.world.address(self.host)
            sender = await parts.enter_async_context(
                TransactionSender(self.chain, account, self.folder / outbox, AT_ONCE)
            )
            portals = await parts.enter_async_context(self.portals())
            folder = publication or self.folder / "publication"
            publisher = CheckpointPublisher(folder, LocalKey(self.host_key), portals)
            ledger, rules, owner, clock = self.ledger, self.rules, self.host, self.clock_ms
            context = StepContext(ledger, self.doorbell, rules, owner, clock)
            taking_over = TakingOver(ledger, self.chain, publisher, portals)
            publishing = Publishing(context, publisher, taking_over)
            submitting = Submitting(context, self.chain, sender)
            settling = Settling(context, self.chain, sender, publisher)
            samples = SamplePublishing(context, self.chain, publisher)
            watcher = ChainWatcher(ledger, self.chain, address, rules, clock)
            steps = {
                Actor.PUBLISH: publishing.publish,
                Actor.PUBLISH_SAMPLE: samples.publish,
                Actor.SUBMIT: submitting.submit,
                Actor.SETTLE: settling.settle,
            }
            worker = self._worker(
                [JobQueue.SETTLEMENT],
                {actor: step if actor in only else _nothing for actor, step in steps.items()},
                self.rules.settling_at_once,
                background=[watcher.run] if watch else [],
            )
            await parts.enter_async_context(worker)
            yield watcher

    @asynccontextmanager
    async def running(self, *provers: WindowProver, watch: bool = False) -> AsyncIterator[Self]:
        """One worker of each kind."""
        async with self.settling(watch=watch), self.proving(*provers):
            yield self

    def _worker(
        self,
        queues: Collection[JobQueue],
        steps: dict[Actor, Callable[[str], Awaitable[None]]],
        threads: int,
        *,
        rules: PipelineRules | None = None,
        background: Collection[Callable[[], Awaitable[None]]] = (),
    ) -> PipelineWorker:
        broker = open_broker(self.broker_url)
        return PipelineWorker(
            self.ledger,
            broker,
            Doorbell(broker, self.tag),
            queues,
            steps,
            rules or self.rules,
            threads=threads,
            background=background,
        )

    # What has become of it

    async def until(
        self,
        reached: Callable[[], Awaitable[object]],
        what: object = None,
        seconds: float = LIMIT_SECONDS,
    ) -> None:
        """Polls; fails after that time, with what is known of every job."""
        try:
            async with asyncio.timeout(seconds):
                while not await reached():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            told = "\n".join(map(str, await self.jobs.newest(50)))
            raise AssertionError(f"not reached: {what or reached}\n{told}") from None

    async def until_state(
        self, job_id: str, *states: JobState, seconds: float = LIMIT_SECONDS
    ) -> Job:
        async def reached() -> bool:
            job = await self.jobs.find(job_id)
            return job is not None and job.state in states

        await self.until(reached, (job_id, states), seconds)
        return await self.jobs.job(job_id)

    async def until_problem(self, job_id: str, code: str) -> Job:
        """Until the job shows the code."""

        async def reached() -> bool:
            job = await self.jobs.find(job_id)
            return job is not None and job.problem is not None and job.problem.code == code

        await self.until(reached, (job_id, code))
        return await self.jobs.job(job_id)

    async def until_over(
        self, *session_ids: int, waiting: Collection[str] = TIME_PASSES_FOR
    ) -> list[Job]:
        """Until every job of the sessions is over. When nobody works and somebody waits with one
        of these codes, time passes."""

        async def reached() -> bool:
            found = await self.jobs.of_sessions(session_ids)
            going_on = [job for job in found if job.state not in OVER]
            if found and not going_on:
                return True
            now_ms = self.clock_ms()
            waits = [
                job.not_before_ms - now_ms
                for job in going_on
                if job.problem is not None
                and job.problem.code in waiting
                and job.not_before_ms > now_ms
            ]
            if waits and all(job.owner is None for job in going_on):
                await self.pass_time(min(waits) // 1000 + 1)
            return False

        await self.until(reached, f"sessions {session_ids} over")
        return await self.jobs.of_sessions(session_ids)

    async def states(self, session_id: int) -> dict[str, str]:
        """By job, without the session's number."""
        found = await self.jobs.of_sessions([session_id])
        return {job.id.partition("-")[2]: job.state.value for job in found}

    async def outcomes(self, job_id: str, step: str = "prove") -> list[tuple[str | None, ...]]:
        """Device and outcome of each attempt of a step, and its code."""
        return [
            (one.device, one.outcome, one.problem.code if one.problem else None)
            for one in await self.jobs.attempts(job_id)
            if one.step == step
        ]

    async def require_confirmed(self, session_id: int, checkpoints: int) -> None:
        """All is confirmed, and on chain once, and in order."""
        jobs = await self.jobs.of_sessions([session_id])
        assert [job.state for job in jobs] == [JobState.CONFIRMED] * (checkpoints + 1)
        artefacts = [
            await self.jobs.artefact(checkpoint_job(session_id, number))
            for number in range(checkpoints)
        ]
        expected = [one.proof_hash for one in artefacts if one is not None]
        found = [one.proof_hash for one in await self.marketplace.proofs(session_id)]
        assert found == expected
        assert len(found) == checkpoints


def dramatiqs_threads() -> list[threading.Thread]:
    """Those that live."""
    kinds = ConsumerThread, WorkerThread
    return [thread for thread in threading.enumerate() if isinstance(thread, kinds)]


async def _nothing(_job_id: str) -> None:
    """A step that is not done."""
