"""Rows of jobs and of their attempts, changed only as they were read, or under their fence.

Whoever works on a job holds a lease. Each lease has a higher fence than the one before, and every
change names its fence: whoever was too slow, or was thought dead, changes nothing any more.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .errors import JobUnknown, LeaseLost
from .job_reading import JobReader, job_of
from .job_states import JobState, require_transition
from .job_tables import attempts, jobs
from .job_values import Job, Lease, Problem

FREE = {"owner": None, "lease_until_ms": 0}
UNTROUBLED = {
    "problem_code": None,
    "problem": None,
    "failures": 0,
    "not_before_ms": 0,
    "cpu_next": False,
}
NO_PROGRESS = {
    "cycles_done": 0,
    "cycles_total": 0,
    "segments_done": 0,
    "segments_total": 0,
    "expected_ms": None,
}


class JobRows:
    """Those of one chain, in one transaction."""

    def __init__(self, connection: sa.Connection, chain: str, now_ms: int) -> None:
        self._connection = connection
        self._chain = chain
        self._now = now_ms
        self._reader = JobReader(connection, chain)

    def _end_lost(self, job: Job, outcome: str = "lost") -> None:
        """The attempt that never ended, if there is one."""
        self._connection.execute(
            attempts.update()
            .where(of_job(attempts, self._chain, job.id))
            .where(attempts.c.fence == job.fence, attempts.c.ended_ms.is_(None)),
            {"ended_ms": self._now, "outcome": outcome},
        )

    def _end_attempt(self, lease: Lease, outcome: str, problem: Problem | None = None) -> None:
        told = named(problem) if problem is not None else {}
        self._connection.execute(
            attempts.update()
            .where(of_job(attempts, self._chain, lease.job.id))
            .where(attempts.c.fence == lease.fence),
            {"ended_ms": self._now, "outcome": outcome, **told},
        )

    def _locked(self, job_id: str) -> Job:
        """A job that nobody changes before this transaction ends.

        Raises:
            JobUnknown
        """
        query = sa.select(jobs).where(of_job(jobs, self._chain, job_id)).with_for_update()
        row = self._connection.execute(query).first()
        if row is None:
            raise JobUnknown("no such job", expected="a job of this chain", got=job_id)
        return job_of(row)

    def _current(self, lease: Lease) -> Job:
        job = self._reader.job(lease.job.id)
        if job.fence != lease.fence or job.owner != lease.owner:
            raise lease_lost(lease)
        return job

    def _move(self, lease: Lease, state: JobState, values: dict[str, Any]) -> None:
        job = self._current(lease)
        require_transition(job.id, job.kind, job.state, state)
        self._change(lease, {"state": state.value, **values})

    def _change(self, lease: Lease, values: dict[str, Any]) -> None:
        changed = self._connection.execute(
            jobs.update()
            .where(of_job(jobs, self._chain, lease.job.id))
            .where(jobs.c.fence == lease.fence, jobs.c.owner == lease.owner),
            {"changed_ms": self._now, **values},
        )
        if changed.rowcount != 1:
            raise lease_lost(lease)

    def _set_state(self, job: Job, state: JobState, **values: Any) -> None:
        require_transition(job.id, job.kind, job.state, state)
        if state is JobState.FAILED:
            values["failed_from"] = job.state.value
        self._update(job, state=state.value, **values)

    def _update(self, job: Job, **values: Any) -> bool:
        """Changes a job as it was read. Whether it still was so."""
        changed = self._connection.execute(
            jobs.update()
            .where(of_job(jobs, self._chain, job.id))
            .where(jobs.c.fence == job.fence, jobs.c.state == job.state.value),
            {"changed_ms": self._now, **values},
        )
        return changed.rowcount == 1


def of_job(table: sa.Table, chain: str, job_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.chain == chain, table.c.job_id == job_id)


def named(problem: Problem) -> dict[str, Any]:
    return {"problem_code": problem.code, "problem": problem.message}


def lease_lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"job {lease.job.id} is no longer this worker's",
        expected=f"lease {lease.fence} of {lease.owner}",
    )
