"""Leasing jobs: which one a worker gets, and whether it gets one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from .errors import JobGivenUp
from .job_reading import LONGEST_LEASE_MS, job_of
from .job_rows import FREE, NO_PROGRESS, JobRows, named
from .job_states import OVER, PROOF_KINDS, JobQueue, JobState
from .job_tables import attempts, jobs
from .job_values import Job, Lease, Problem, Worker

_PROVE = "prove"
WAIT_FOR_CPU_MS = 120_000
"""A job whose worker with a GPU was lost waits so long for one with a CPU; where there is none, a
GPU gets it after all."""
LAST_CHOICE_MS = 10_000
"""What a device has refused is left to others for so long, before it builds it all the same."""


class JobClaims(JobRows):
    """Gives leases."""

    def claim_proof(
        self, queue: JobQueue, worker: Worker, lease_ms: int, most_starts: int
    ) -> Lease | None:
        """Leases the proof that is the most urgent of those that the worker may build: first what
        a lost worker left, then what is due next; what this device would not finish in time comes
        last. None when there is nothing. A job that was begun too often fails instead."""
        while (job := self._most_urgent(queue, worker)) is not None:
            self._end_lost(job)
            if job.starts >= most_starts:
                problem = _given_up(job)
                self._set_state(job, JobState.FAILED, **FREE, **named(problem))
                continue
            was_lost = job.state is JobState.PROVING and job.owner is not None
            cpu_next = job.device == "cuda" if was_lost else job.cpu_next
            if was_lost and cpu_next and not worker.has_cpu:
                self._update(job, cpu_next=True, **FREE)
                continue
            device = "cpu" if cpu_next and worker.has_cpu else worker.device
            lease = self._lease(
                job,
                worker.owner,
                lease_ms,
                step=_PROVE,
                device=device,
                state=JobState.PROVING.value,
                starts=job.starts + 1,
                cpu_next=cpu_next and worker.has_cpu,
                **NO_PROGRESS,
            )
            if lease is not None:
                return lease
        return None

    def claim_step(
        self, job_id: str, step: str, states: Sequence[JobState], owner: str, lease_ms: int
    ) -> Lease | None:
        """Leases a job for a step other than the proof. None when it is in another state, is held
        by somebody, has to wait, or is over."""
        unfinished = [state for state in states if state not in OVER]
        query = (
            sa.select(jobs)
            .where(jobs.c.job_id == job_id, self._reader.is_ready(unfinished, self._now))
            .with_for_update(skip_locked=True)
        )
        row = self._connection.execute(query).first()
        if row is None:
            return None
        job = job_of(row)
        if not self._reader.may_go_on(job):
            return None
        self._end_lost(job)
        return self._lease(job, owner, lease_ms, step=step, device=None)

    def _most_urgent(self, queue: JobQueue, worker: Worker) -> Job | None:
        kinds = [kind.value for kind in PROOF_KINDS]
        mine = [jobs.c.queue == queue.value, jobs.c.kind.in_(kinds)]
        if not worker.has_cpu:
            had_its_turn = sa.and_(jobs.c.owner.is_not(None), jobs.c.device == "cpu")
            none_came = jobs.c.changed_ms <= self._now - WAIT_FOR_CPU_MS
            mine.append(sa.or_(sa.not_(jobs.c.cpu_next), had_its_turn, none_came))
        late_for = sa.literal(" ") + jobs.c.late_for + " "
        in_time = sa.or_(
            jobs.c.late_for.is_(None), sa.not_(late_for.contains(f" {worker.device} "))
        )
        for state, more in (
            (JobState.PROVING, sa.true()),
            (JobState.RECORDED, in_time),
            (JobState.RECORDED, jobs.c.changed_ms <= self._now - LAST_CHOICE_MS),
        ):
            query = (
                sa.select(jobs)
                .where(self._reader.is_ready((state,), self._now), *mine, more)
                .order_by(jobs.c.due_at, jobs.c.number)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = self._connection.execute(query).first()
            if row is not None:
                return job_of(row)
        return None

    def _lease(
        self, job: Job, owner: str, lease_ms: int, *, step: str, device: str | None, **values: Any
    ) -> Lease | None:
        """None when somebody else was faster."""
        fence, until = job.fence + 1, self._lease_until(lease_ms)
        values |= {"owner": owner, "fence": fence, "lease_until_ms": until, "began_ms": self._now}
        if device is not None:
            values["device"] = device
        if not self._update(job, **values):
            return None
        self._connection.execute(
            attempts.insert(),
            {
                "chain": self._chain,
                "job_id": job.id,
                "fence": fence,
                "step": step,
                "owner": owner,
                "device": device,
                "started_ms": self._now,
            },
        )
        return Lease(self._reader.job(job.id), owner, fence, until)

    def _lease_until(self, lease_ms: int) -> int:
        return self._now + min(lease_ms, LONGEST_LEASE_MS)


def _given_up(job: Job) -> Problem:
    told = job.problem if job.state is JobState.RECORDED else None
    last = f"{told.code} {told.message}" if told else "the worker was lost"
    return Problem.of(
        JobGivenUp(
            f"begun {job.starts} times, never finished; the last time: {last}",
            got=f"last device {job.device}",
        )
    )
