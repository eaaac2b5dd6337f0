"""The changes of jobs, each within the transaction that it is given."""

from __future__ import annotations

import dataclasses
from typing import Any

from .errors import TransitionRefused
from .job_claiming import JobClaims
from .job_reading import LONGEST_REST_MS
from .job_rows import FREE, NO_PROGRESS, UNTROUBLED, named, of_job
from .job_states import OPEN, OVER, JobKind, JobQueue, JobState, retried_as
from .job_tables import artefacts, jobs, submissions
from .job_values import Artefact, Job, Lease, Problem, ProofProgress, Submission, sample_job

_OPEN = [state.value for state in OPEN]
_SAMPLE_DUE_SECONDS = 86_400


class JobWriter(JobClaims):
    """Changes the jobs of one chain."""

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
                **FREE,
                **UNTROUBLED,
                **NO_PROGRESS,
            },
        )

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
        self._move(lease, state, {**UNTROUBLED})
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
        longer kept here; that of a checkpoint with a trace makes the job of its sampled cells.

        Raises:
            LeaseLost
            TransitionRefused: also when the job would have failed: see `fail`.
        """
        if state is JobState.FAILED:
            raise _ends(lease, state)
        self._move(lease, state, {**FREE, **UNTROUBLED})
        self._end_attempt(lease, "done")
        if artefact is not None:
            self._artefact(lease.job.id, artefact)
        if submission is not None:
            self._submission(lease.job.id, submission)
        if state is JobState.CONFIRMED:
            self._ask_for_sample(lease.job)
            self._connection.execute(
                artefacts.update().where(of_job(artefacts, self._chain, lease.job.id)),
                {"bundle": None},
            )

    def release(self, lease: Lease) -> None:
        """The worker was told to stop: the job is as if this start had never been."""
        values: dict[str, Any] = {**FREE, "not_before_ms": 0}
        self._change(lease, values | self._unbegun(lease))
        self._end_attempt(lease, "released")

    def refuse(self, lease: Lease, device: str, problem: Problem) -> None:
        """This device would not finish the proof in time: others may, and it is the last that this
        device takes up."""
        job = self._current(lease)
        late_for = job.late_for if job.is_late_for(device) else f"{job.late_for or ''} {device}"
        values: dict[str, Any] = {
            **FREE,
            **named(problem),
            "late_for": (late_for or "").strip(),
            "not_before_ms": 0,
            "cpu_next": False,
        }
        self._change(lease, values | self._unbegun(lease))
        self._end_attempt(lease, "refused", problem)

    def retry_later(
        self,
        lease: Lease,
        problem: Problem,
        rest_ms: int,
        *,
        cpu_next: bool = False,
        is_foreseen: bool = False,
    ) -> None:
        """The step is to be tried again after a rest. It failed, unless it was foreseen that its
        time had not come."""
        job = self._current(lease)
        values: dict[str, Any] = {
            **FREE,
            **named(problem),
            "failures": job.failures + (not is_foreseen),
            "not_before_ms": self._now + min(rest_ms, LONGEST_REST_MS),
        }
        if job.state is JobState.PROVING:
            starts = job.starts - is_foreseen
            values |= {"state": JobState.RECORDED.value, "cpu_next": cpu_next, "starts": starts}
            values |= NO_PROGRESS
        self._change(lease, values)
        self._end_attempt(lease, "failed", problem)

    def fail(self, lease: Lease, problem: Problem) -> None:
        """Given up."""
        failed_from = self._current(lease).state.value
        values = {**FREE, **named(problem), "failed_from": failed_from}
        self._move(lease, JobState.FAILED, values)
        self._end_attempt(lease, "failed", problem)

    def fail_unheld(self, job_id: str, problem: Problem) -> None:
        """Gives a job up whoever works on it; that one's lease is lost. A job that is over stays
        as it is."""
        job = self._locked(job_id)
        if job.state in OVER:
            return
        self._end_lost(job, "failed")
        values = {**FREE, **named(problem), "fence": job.fence + 1}
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
        anew = NO_PROGRESS if state is JobState.RECORDED else {}
        self._update(
            job,
            state=state.value,
            starts=0,
            failed_from=None,
            late_for=None,
            **FREE,
            **UNTROUBLED,
            **anew,
        )
        self._connection.execute(
            jobs.update()
            .where(jobs.c.chain == self._chain, jobs.c.session_id == str(job.session_id))
            .where(jobs.c.kind == JobKind.SETTLEMENT.value, jobs.c.state.in_(_OPEN)),
            {"not_before_ms": 0},  # it may have been waiting for this
        )
        return self._reader.job(job_id)

    def set_due(self, session_id: int, due_at: int) -> None:
        """The session's open jobs are due at another time; who would have been late may try.
        Samples are not waited for."""
        self._connection.execute(
            jobs.update()
            .where(jobs.c.chain == self._chain, jobs.c.session_id == str(session_id))
            .where(jobs.c.state.in_(_OPEN), jobs.c.due_at != due_at)
            .where(jobs.c.kind != JobKind.SAMPLE.value),
            {"due_at": due_at, "late_for": None},
        )

    def _unbegun(self, lease: Lease) -> dict[str, Any]:
        job = self._current(lease)
        if job.state is not JobState.PROVING:
            return {}
        return {"state": JobState.RECORDED.value, "starts": job.starts - 1, **NO_PROGRESS}

    def _ask_for_sample(self, job: Job) -> None:
        if job.kind is not JobKind.CHECKPOINT:
            return
        artefact, job_id = self._reader.artefact(job.id), sample_job(job.session_id, job.number)
        if artefact is None or artefact.trace_root is None or self._reader.find(job_id):
            return
        self.add(
            job_id,
            JobKind.SAMPLE,
            job.session_id,
            number=job.number,
            queue=JobQueue.AUDIT,
            tokens=job.tokens,
            due_at=self._now // 1000 + _SAMPLE_DUE_SECONDS,
        )

    def _artefact(self, job_id: str, artefact: Artefact) -> None:
        """A proof that is built again takes the place of the former one."""
        root, problem = artefact.trace_root, artefact.trace_problem
        values = dataclasses.asdict(artefact) | {
            "proof_hash": artefact.proof_hash.value,
            "trace_root": None if root is None else root.value,
            "trace_problem_code": None if problem is None else problem.code,
            "trace_problem": None if problem is None else problem.message,
        }
        self._connection.execute(artefacts.delete().where(of_job(artefacts, self._chain, job_id)))
        self._connection.execute(
            artefacts.insert(), {"chain": self._chain, "job_id": job_id, **values}
        )

    def _submission(self, job_id: str, submission: Submission) -> None:
        known = {n: v for n, v in dataclasses.asdict(submission).items() if v is not None}
        if not known:
            return
        changed = self._connection.execute(
            submissions.update().where(of_job(submissions, self._chain, job_id)), known
        )
        if changed.rowcount == 0:
            self._connection.execute(
                submissions.insert(), {"chain": self._chain, "job_id": job_id, **known}
            )


def _ends(lease: Lease, state: JobState) -> TransitionRefused:
    return TransitionRefused(
        f"job {lease.job.id} would be {state.value} while it is worked on",
        expected="`fail`" if state is JobState.FAILED else "`finish`",
        got=state.value,
    )
