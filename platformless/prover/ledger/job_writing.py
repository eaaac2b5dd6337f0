"""The changes of jobs, each within the transaction that it is given.

Whoever works on a job holds a lease. Each lease has a higher fence than the one before, and every
change names its fence: whoever was too slow, or was thought dead, changes nothing any more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from .errors import JobGivenUp, JobUnknown, LeaseLost, TransitionRefused
from .job_reading import LONGEST_LEASE_MS, LONGEST_REST_MS, JobReader, job_of
from .job_states import (
    OVER,
    JobKind,
    JobQueue,
    JobState,
    require_transition,
    retried_as,
)
from .job_tables import artefacts, attempts, jobs, submissions
from .job_values import Artefact, Job, Lease, Problem, ProofProgress, Submission, Worker

_PROVE = "prove"
_FREE = {"owner": None, "lease_until_ms": 0}
_UNTROUBLED = {
    "problem_code": None,
    "problem": None,
    "failures": 0,
    "not_before_ms": 0,
    "cpu_next": False,
}
_NO_PROGRESS = {
    "cycles_done": 0,
    "cycles_total": 0,
    "segments_done": 0,
    "segments_total": 0,
    "expected_ms": None,
}


class JobWriter:
    """Changes the jobs of one chain."""

    def __init__(self, connection: sa.Connection, chain: str, now_ms: int) -> None:
        self._connection = connection
        self._chain = chain
        self._now = now_ms
        self._reader = JobReader(connection, chain)

    def add(
        self,
        job_id: str,
        kind: JobKind,
        session_id: int,
        *,
        number: int = 0,
        queue: JobQueue,
        tokens: int = 0,
        due_at: int,
    ) -> None:
        """A new job, recorded."""
        self._connection.execute(
            jobs.insert(),
            {
                "chain": self._chain,
                "job_id": job_id,
                "kind": kind.value,
                "session_id": str(session_id),
                "number": number,
                "queue": queue.value,
                "state": JobState.RECORDED.value,
                "tokens": tokens,
                "due_at": due_at,
                "created_ms": self._now,
                "changed_ms": self._now,
                "starts": 0,
                "fence": 0,
                "began_ms": self._now,
                "device": None,
                "late_for": None,
                "failed_from": None,
                **_FREE,
                **_UNTROUBLED,
                **_NO_PROGRESS,
            },
        )

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
                self._set_state(job, JobState.FAILED, **_FREE, **_named(problem))
                continue
            was_lost = job.state is JobState.PROVING and job.owner is not None
            cpu_next = job.device == "cuda" if was_lost else job.cpu_next
            if cpu_next and not worker.has_cpu:
                self._update(job, cpu_next=True, **_FREE)
                continue
            device = "cpu" if cpu_next else worker.device
            lease = self._lease(
                job,
                worker.owner,
                lease_ms,
                step=_PROVE,
                device=device,
                state=JobState.PROVING.value,
                starts=job.starts + 1,
                cpu_next=cpu_next,
                **_NO_PROGRESS,
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

    def renew(self, lease: Lease, lease_ms: int, progress: ProofProgress | None) -> None:
        """Raises:
        LeaseLost
        """
        values: dict[str, Any] = {"lease_until_ms": self._lease_until(lease_ms)}
        if progress is not None:
            values |= dataclasses.asdict(progress)
        self._change(lease, values)

    def move(self, lease: Lease, state: JobState, submission: Submission | None = None) -> None:
        """A new state, while the lease goes on.

        Raises:
            LeaseLost
            TransitionRefused: also when the job would be over: see `finish` and `fail`.
        """
        if state in OVER:
            raise _ends(lease, state)
        self._move(lease, state, {**_UNTROUBLED})
        if submission is not None:
            self._submission(lease.job.id, submission)

    def finish(
        self,
        lease: Lease,
        state: JobState,
        *,
        artefact: Artefact | None = None,
        submission: Submission | None = None,
    ) -> None:
        """The step is done: a new state, and the lease is over. A confirmed job's bundle is no
        longer kept here.

        Raises:
            LeaseLost
            TransitionRefused: also when the job would have failed: see `fail`.
        """
        if state is JobState.FAILED:
            raise _ends(lease, state)
        self._move(lease, state, {**_FREE, **_UNTROUBLED})
        self._end_attempt(lease, "done")
        if artefact is not None:
            self._artefact(lease.job.id, artefact)
        if submission is not None:
            self._submission(lease.job.id, submission)
        if state is JobState.CONFIRMED:
            self._connection.execute(
                artefacts.update().where(_of(artefacts, self._chain, lease.job.id)),
                {"bundle": None},
            )

    def release(self, lease: Lease) -> None:
        """The worker was told to stop: the job is as if this start had never been."""
        values: dict[str, Any] = {**_FREE, "not_before_ms": 0}
        self._change(lease, values | self._unbegun(lease))
        self._end_attempt(lease, "released")

    def refuse(self, lease: Lease, device: str, problem: Problem) -> None:
        """This device would not finish the proof in time: others may, and it is the last that this
        device takes up."""
        job = self._current(lease)
        late_for = job.late_for if job.is_late_for(device) else f"{job.late_for or ''} {device}"
        values: dict[str, Any] = {
            **_FREE,
            **_named(problem),
            "late_for": (late_for or "").strip(),
            "not_before_ms": 0,
            "cpu_next": False,
        }
        self._change(lease, values | self._unbegun(lease))
        self._end_attempt(lease, "refused", problem)

    def retry_later(
        self, lease: Lease, problem: Problem, rest_ms: int, *, cpu_next: bool = False
    ) -> None:
        """The step failed, and is to be tried again after a rest."""
        job = self._current(lease)
        values: dict[str, Any] = {
            **_FREE,
            **_named(problem),
            "failures": job.failures + 1,
            "not_before_ms": self._now + min(rest_ms, LONGEST_REST_MS),
        }
        if job.state is JobState.PROVING:
            values |= {"state": JobState.RECORDED.value, "cpu_next": cpu_next, **_NO_PROGRESS}
        self._change(lease, values)
        self._end_attempt(lease, "failed", problem)

    def fail(self, lease: Lease, problem: Problem) -> None:
        """Given up."""
        failed_from = self._current(lease).state.value
        values = {**_FREE, **_named(problem), "failed_from": failed_from}
        self._move(lease, JobState.FAILED, values)
        self._end_attempt(lease, "failed", problem)

    def fail_unheld(self, job_id: str, problem: Problem) -> None:
        """Gives a job up whoever works on it; that one's lease is lost. A job that is over stays
        as it is."""
        job = self._locked(job_id)
        if job.state in OVER:
            return
        self._end_lost(job, "failed")
        values = {**_FREE, **_named(problem), "fence": job.fence + 1}
        self._set_state(job, JobState.FAILED, **values)

    def retry(self, job_id: str) -> Job:
        """A failed job begins again where it failed.

        Raises:
            JobUnknown
            TransitionRefused: when it has not failed.
        """
        job = self._locked(job_id)
        if job.state is not JobState.FAILED or job.failed_from is None:
            raise TransitionRefused(
                f"job {job_id} has not failed", expected="a failed job", got=job.state.value
            )
        state = retried_as(job.kind, job.failed_from)
        anew = _NO_PROGRESS if state is JobState.RECORDED else {}
        self._update(
            job,
            state=state.value,
            starts=0,
            failed_from=None,
            late_for=None,
            **_FREE,
            **_UNTROUBLED,
            **anew,
        )
        return self._reader.job(job_id)

    def set_due(self, session_id: int, due_at: int) -> None:
        """The session's open jobs are due at another time; who would have been late may try."""
        open_states = [state.value for state in JobState if state not in OVER]
        self._connection.execute(
            jobs.update()
            .where(jobs.c.chain == self._chain, jobs.c.session_id == str(session_id))
            .where(jobs.c.state.in_(open_states), jobs.c.due_at != due_at),
            {"due_at": due_at, "late_for": None},
        )

    def _most_urgent(self, queue: JobQueue, worker: Worker) -> Job | None:
        mine = [jobs.c.queue == queue.value, jobs.c.kind == JobKind.CHECKPOINT.value]
        if not worker.has_cpu:
            had_its_turn = sa.and_(jobs.c.owner.is_not(None), jobs.c.device == "cpu")
            mine.append(sa.or_(sa.not_(jobs.c.cpu_next), had_its_turn))
        late_for = sa.literal(" ") + jobs.c.late_for + " "
        in_time = sa.or_(
            jobs.c.late_for.is_(None), sa.not_(late_for.contains(f" {worker.device} "))
        )
        for state, more in (
            (JobState.PROVING, sa.true()),
            (JobState.RECORDED, in_time),
            (JobState.RECORDED, sa.true()),
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

    def _end_lost(self, job: Job, outcome: str = "lost") -> None:
        """The attempt that never ended, if there is one."""
        self._connection.execute(
            attempts.update()
            .where(_of(attempts, self._chain, job.id))
            .where(attempts.c.fence == job.fence, attempts.c.ended_ms.is_(None)),
            {"ended_ms": self._now, "outcome": outcome},
        )

    def _end_attempt(self, lease: Lease, outcome: str, problem: Problem | None = None) -> None:
        named = _named(problem) if problem is not None else {}
        self._connection.execute(
            attempts.update()
            .where(_of(attempts, self._chain, lease.job.id))
            .where(attempts.c.fence == lease.fence),
            {"ended_ms": self._now, "outcome": outcome, **named},
        )

    def _unbegun(self, lease: Lease) -> dict[str, Any]:
        job = self._current(lease)
        if job.state is not JobState.PROVING:
            return {}
        return {"state": JobState.RECORDED.value, "starts": job.starts - 1, **_NO_PROGRESS}

    def _locked(self, job_id: str) -> Job:
        """A job that nobody changes before this transaction ends.

        Raises:
            JobUnknown
        """
        query = sa.select(jobs).where(_of(jobs, self._chain, job_id)).with_for_update()
        row = self._connection.execute(query).first()
        if row is None:
            raise JobUnknown("no such job", expected="a job of this chain", got=job_id)
        return job_of(row)

    def _current(self, lease: Lease) -> Job:
        job = self._reader.job(lease.job.id)
        if job.fence != lease.fence or job.owner != lease.owner:
            raise _lost(lease)
        return job

    def _move(self, lease: Lease, state: JobState, values: dict[str, Any]) -> None:
        job = self._current(lease)
        require_transition(job.id, job.kind, job.state, state)
        self._change(lease, {"state": state.value, **values})

    def _change(self, lease: Lease, values: dict[str, Any]) -> None:
        changed = self._connection.execute(
            jobs.update()
            .where(_of(jobs, self._chain, lease.job.id))
            .where(jobs.c.fence == lease.fence, jobs.c.owner == lease.owner),
            {"changed_ms": self._now, **values},
        )
        if changed.rowcount != 1:
            raise _lost(lease)

    def _set_state(self, job: Job, state: JobState, **values: Any) -> None:
        require_transition(job.id, job.kind, job.state, state)
        if state is JobState.FAILED:
            values["failed_from"] = job.state.value
        self._update(job, state=state.value, **values)

    def _update(self, job: Job, **values: Any) -> bool:
        """Changes a job as it was read. Whether it still was so."""
        changed = self._connection.execute(
            jobs.update()
            .where(_of(jobs, self._chain, job.id))
            .where(jobs.c.fence == job.fence, jobs.c.state == job.state.value),
            {"changed_ms": self._now, **values},
        )
        return changed.rowcount == 1

    def _artefact(self, job_id: str, artefact: Artefact) -> None:
        """A proof that is built again takes the place of the former one."""
        values = dataclasses.asdict(artefact) | {"proof_hash": artefact.proof_hash.value}
        self._connection.execute(artefacts.delete().where(_of(artefacts, self._chain, job_id)))
        self._connection.execute(
            artefacts.insert(), {"chain": self._chain, "job_id": job_id, **values}
        )

    def _submission(self, job_id: str, submission: Submission) -> None:
        known = {n: v for n, v in dataclasses.asdict(submission).items() if v is not None}
        if not known:
            return
        changed = self._connection.execute(
            submissions.update().where(_of(submissions, self._chain, job_id)), known
        )
        if changed.rowcount == 0:
            self._connection.execute(
                submissions.insert(), {"chain": self._chain, "job_id": job_id, **known}
            )


def _of(table: sa.Table, chain: str, job_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.chain == chain, table.c.job_id == job_id)


def _named(problem: Problem) -> dict[str, Any]:
    return {"problem_code": problem.code, "problem": problem.message}


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"job {lease.job.id} is no longer this worker's",
        expected=f"lease {lease.fence} of {lease.owner}",
    )


def _ends(lease: Lease, state: JobState) -> TransitionRefused:
    return TransitionRefused(
        f"job {lease.job.id} would be {state.value} while it is worked on",
        expected="`fail`" if state is JobState.FAILED else "`finish`",
        got=state.value,
    )


def _given_up(job: Job) -> Problem:
    told = job.problem if job.state is JobState.RECORDED else None
    last = f"{told.code} {told.message}" if told else "the worker was lost"
    return Problem.of(
        JobGivenUp(
            f"begun {job.starts} times, never finished; the last time: {last}",
            got=f"last device {job.device}",
        )
    )
