"""What the steps of a worker have in common: where they read and write, and how they hold jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ...log_context import about
from ..broker.doorbell import Actor, Doorbell, actor_for
from ..ledger.job_states import JobQueue, JobState
from ..ledger.job_values import Lease, Worker, kind_of
from ..ledger.jobs import Jobs
from ..ledger.ledger import Ledger
from .holding import Holding, claimed, held
from .rules import PipelineRules


@dataclass(frozen=True, slots=True)
class StepContext:
    """Of one worker."""

    ledger: Ledger
    doorbell: Doorbell
    rules: PipelineRules
    owner: str
    """Names the worker in leases."""
    clock_ms: Callable[[], int]
    """Unix time in milliseconds."""

    @property
    def jobs(self) -> Jobs:
        return self.ledger.jobs

    async def claim(self, job_id: str, actor: Actor, *states: JobState) -> Lease | None:
        """The lease of a job in one of these states, when it is its turn and nobody has it. None
        as well for a kind of job that this actor has no part in: anyone may ring."""
        mine = [state for state in states if actor_for(kind_of(job_id), state) is actor]
        claim = self.jobs.claim_step(
            job_id, actor.value, mine, self.owner, lease_ms=self.rules.lease_ms
        )
        return await claimed(self.jobs, claim)

    async def claim_proof(self, queue: JobQueue, worker: Worker) -> Lease | None:
        """The lease of the most urgent proof of a queue that this worker may build."""
        claim = self.jobs.claim_proof(
            queue, worker, lease_ms=self.rules.lease_ms, most_starts=self.rules.most_starts
        )
        return await claimed(self.jobs, claim)

    @asynccontextmanager
    async def held(self, lease: Lease) -> AsyncIterator[Holding]:
        """See `holding.held`. What is logged meanwhile names job and session."""
        with about(job=lease.job.id, session=lease.job.session_id):
            async with held(self.jobs, lease, self.rules, self.clock_ms) as holding:
                yield holding
