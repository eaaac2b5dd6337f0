"""The questions about jobs, each within the transaction that it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from ...protocol.digests import ProofHash, TraceRoot
from ...protocol.transcript import Tokens
from .errors import JobUnknown
from .job_states import OPEN, PROOF_KINDS, JobKind, JobQueue, JobState
from .job_tables import artefacts, attempts, jobs, submissions
from .job_values import (
    Artefact,
    Attempt,
    Job,
    JobCounts,
    Problem,
    ProofProgress,
    Submission,
    checkpoint_job,
)

LONGEST_LEASE_MS = 600_000
"""A lease that ends later than this from now was given by a clock that was wrong: it counts as
ended."""
LONGEST_REST_MS = 3_600_000
"""The same for a rest before the next attempt."""

_IN_INDEX = (JobState.PUBLISHED, JobState.SUBMITTED, JobState.CONFIRMED)
_NEXT_STATES = {
    JobState.PROVEN: _IN_INDEX,
    JobState.PUBLISHED: (JobState.CONFIRMED,),
    JobState.SUBMITTED: (JobState.CONFIRMED,),
}
"""A checkpoint in a state goes on only when the checkpoint before it is in one of these."""


_KIND_OF = {
    JobQueue.LIVE: JobKind.CHECKPOINT,
    JobQueue.AUDIT: JobKind.SAMPLE,
    JobQueue.AGGREGATE: JobKind.CHECKPOINT,
    JobQueue.SETTLEMENT: JobKind.SETTLEMENT,
}


class JobReader:
    """Reads the jobs of one chain."""

    def __init__(self, connection: sa.Connection, chain: str) -> None:
        self._connection = connection
        self._chain = chain

    def find(self, job_id: str) -> Job | None:
        row = self._connection.execute(sa.select(jobs).where(self._this(jobs, job_id))).first()
        return None if row is None else job_of(row)

    def job(self, job_id: str) -> Job:
        """Raises:
        JobUnknown
        """
        found = self.find(job_id)
        if found is None:
            raise JobUnknown("no such job", expected="a job of this chain", got=job_id)
        return found

    def of_sessions(self, session_ids: Collection[int]) -> list[Job]:
        """By session, checkpoints in order, then their samples, then the settlement."""
        query = (
            sa.select(jobs)
            .where(
                jobs.c.chain == self._chain, jobs.c.session_id.in_([str(i) for i in session_ids])
            )
            .order_by(jobs.c.session_id, jobs.c.kind, jobs.c.number)
        )
        return [job_of(row) for row in self._connection.execute(query)]

    def newest(self, limit: int, states: Collection[JobState] | None = None) -> list[Job]:
        """The newest ones, first the newest. Each state is asked for by itself, so that none walks
        over the jobs of another."""
        found: list[Job] = []
        for state in set(JobState if states is None else states):
            query = (
                sa.select(jobs)
                .where(jobs.c.chain == self._chain, jobs.c.state == state.value)
                .order_by(jobs.c.created_ms.desc(), jobs.c.job_id.desc())
                .limit(limit)
            )
            found += [job_of(row) for row in self._connection.execute(query)]
        return sorted(found, key=lambda job: (job.created_ms, job.id), reverse=True)[:limit]

    def attempts(self, job_id: str) -> list[Attempt]:
        query = sa.select(attempts).where(self._this(attempts, job_id)).order_by(attempts.c.fence)
        return [_attempt(row) for row in self._connection.execute(query)]

    def artefact(self, job_id: str) -> Artefact | None:
        query = sa.select(artefacts).where(self._this(artefacts, job_id))
        row = self._connection.execute(query).first()
        return None if row is None else _artefact(row)

    def submission(self, job_id: str) -> Submission:
        """Empty when nothing was published yet."""
        query = sa.select(submissions).where(self._this(submissions, job_id))
        row = self._connection.execute(query).first()
        if row is None:
            return Submission()
        values = dict(row._mapping)
        return Submission(**{n: v for n, v in values.items() if n not in ("chain", "job_id")})

    def counts(self) -> JobCounts:
        """Reads every row of the index: for people and metrics, not for work. A kind's jobs have a
        queue of their own."""
        mine = jobs.c.chain == self._chain
        grouped = (
            sa.select(jobs.c.state, jobs.c.queue, sa.func.count())
            .where(mine)
            .group_by(jobs.c.state, jobs.c.queue)
        )
        by_state: Counter[tuple[JobKind, JobState]] = Counter()
        for state, queue, count in self._connection.execute(grouped):
            by_state[_KIND_OF[JobQueue(queue)], JobState(state)] += count
        paid_for = jobs.c.queue != JobQueue.AUDIT.value
        oldest = sa.select(sa.func.min(jobs.c.created_ms)).where(mine, _is_open(), paid_for)
        return JobCounts(dict(by_state), self._connection.execute(oldest).scalar())

    def ready_proofs(self, queue: JobQueue, limit: int, now_ms: int) -> list[str]:
        """Ids of jobs whose proof may be begun now, or begun again, the most urgent first."""
        found: list[str] = []
        for state in (JobState.PROVING, JobState.RECORDED):
            query = (
                sa.select(jobs.c.job_id)
                .where(self.is_ready((state,), now_ms), jobs.c.queue == queue.value)
                .where(jobs.c.kind.in_([kind.value for kind in PROOF_KINDS]))
                .order_by(jobs.c.due_at, jobs.c.number)
                .limit(limit - len(found))
            )
            found += [row.job_id for row in self._connection.execute(query)]
        return found

    def ready_steps(self, limit: int, now_ms: int) -> list[tuple[str, JobState]]:
        """Jobs that wait for a step of the process with the host's key, and their states: up to
        `limit` for each step, so that none keeps the others waiting."""
        found: list[tuple[str, JobState]] = []
        for state, before in _NEXT_STATES.items():
            query = (
                sa.select(jobs.c.job_id)
                .where(self.is_ready((state,), now_ms), self._is_next(before))
                .where(jobs.c.kind == JobKind.CHECKPOINT.value)
                .order_by(jobs.c.due_at, jobs.c.number)
                .limit(limit)
            )
            found += [(row.job_id, state) for row in self._connection.execute(query)]
        samples = (
            sa.select(jobs.c.job_id)
            .where(self.is_ready((JobState.PROVEN,), now_ms))
            .where(jobs.c.kind == JobKind.SAMPLE.value)
            .where(jobs.c.queue == JobQueue.AUDIT.value)
            .order_by(jobs.c.due_at, jobs.c.number)
            .limit(limit)
        )
        rows = self._connection.execute(samples)
        found += [(row.job_id, JobState.PROVEN) for row in rows]
        settlements = (
            sa.select(jobs.c.job_id, jobs.c.state)
            .where(self.is_ready((JobState.RECORDED, JobState.SUBMITTED), now_ms))
            .where(jobs.c.kind == JobKind.SETTLEMENT.value)
            .where(jobs.c.queue == JobQueue.SETTLEMENT.value)
            .where(
                sa.or_(
                    sa.not_(self._has_checkpoint(OPEN)),
                    self._has_checkpoint((JobState.FAILED,)),
                )
            )
            .order_by(jobs.c.due_at)
            .limit(limit)
        )
        rows = self._connection.execute(settlements)
        return found + [(row.job_id, JobState(row.state)) for row in rows]

    def may_go_on(self, job: Job) -> bool:
        """Whether the checkpoint before this one is far enough."""
        needed = _NEXT_STATES.get(job.state)
        if needed is None or job.kind is not JobKind.CHECKPOINT or job.number == 0:
            return True
        before = self.find(checkpoint_job(job.session_id, job.number - 1))
        return before is not None and before.state in needed

    def open_sessions(self, limit: int) -> list[int]:
        """Sessions that have unfinished checkpoints or settlements. Sample proofs concern nobody's
        money, and may wait for long."""
        # A query a state: DISTINCT over all would go by sessions, and read every job.
        of_state = sa.select(jobs.c.session_id).where(
            jobs.c.chain == self._chain, jobs.c.kind != JobKind.SAMPLE.value
        )
        query = sa.union(*(of_state.where(jobs.c.state == state.value) for state in OPEN))
        rows = self._connection.execute(query.limit(limit))
        return sorted(int(row.session_id) for row in rows)

    def is_ready(self, states: Sequence[JobState], now_ms: int) -> sa.ColumnElement[bool]:
        """Jobs of this chain in one of the states that nobody holds and whose time has come."""
        return sa.and_(
            jobs.c.chain == self._chain,
            jobs.c.state.in_([state.value for state in states]),
            sa.or_(
                jobs.c.not_before_ms <= now_ms,
                jobs.c.not_before_ms > now_ms + LONGEST_REST_MS,
            ),
            sa.or_(
                jobs.c.lease_until_ms <= now_ms,
                jobs.c.lease_until_ms > now_ms + LONGEST_LEASE_MS,
            ),
        )

    def _is_next(self, needed: Sequence[JobState]) -> sa.ColumnElement[bool]:
        """What `may_go_on` says of a job."""
        before = jobs.alias("before")
        is_far_enough = sa.exists().where(
            before.c.chain == jobs.c.chain,
            before.c.session_id == jobs.c.session_id,
            before.c.kind == JobKind.CHECKPOINT.value,
            before.c.number == jobs.c.number - 1,
            before.c.state.in_([state.value for state in needed]),
        )
        return sa.or_(jobs.c.number == 0, is_far_enough)

    def _has_checkpoint(self, states: Sequence[JobState]) -> sa.ColumnElement[bool]:
        """Whether a job's session has a checkpoint in one of these states."""
        checkpoint = jobs.alias("checkpoint")
        return sa.exists().where(
            checkpoint.c.chain == jobs.c.chain,
            checkpoint.c.session_id == jobs.c.session_id,
            checkpoint.c.kind == JobKind.CHECKPOINT.value,
            checkpoint.c.state.in_([state.value for state in states]),
        )

    def _this(self, table: sa.Table, job_id: str) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.chain == self._chain, table.c.job_id == job_id)


def _is_open() -> sa.ColumnElement[bool]:
    return jobs.c.state.in_([state.value for state in OPEN])


def job_of(row: Any) -> Job:
    return Job(
        id=row.job_id,
        kind=JobKind(row.kind),
        session_id=int(row.session_id),
        number=row.number,
        queue=JobQueue(row.queue),
        state=JobState(row.state),
        tokens=Tokens(row.tokens),
        due_at=row.due_at,
        created_ms=row.created_ms,
        changed_ms=row.changed_ms,
        starts=row.starts,
        failures=row.failures,
        not_before_ms=row.not_before_ms,
        owner=row.owner,
        fence=row.fence,
        lease_until_ms=row.lease_until_ms,
        began_ms=row.began_ms,
        device=row.device,
        cpu_next=row.cpu_next,
        late_for=row.late_for,
        failed_from=JobState(row.failed_from) if row.failed_from else None,
        problem=_problem(row),
        progress=ProofProgress(
            row.cycles_done,
            row.cycles_total,
            row.segments_done,
            row.segments_total,
            row.expected_ms,
        ),
    )


def _problem(row: Any) -> Problem | None:
    return Problem(row.problem_code, row.problem or "") if row.problem_code else None


def _attempt(row: Any) -> Attempt:
    return Attempt(
        row.fence,
        row.step,
        row.owner,
        row.device,
        row.started_ms,
        row.ended_ms,
        row.outcome,
        _problem(row),
    )


def _artefact(row: Any) -> Artefact:
    return Artefact(
        ProofHash(row.proof_hash),
        row.size_bytes,
        row.bundle,
        row.device,
        row.receipt_kind,
        row.total_cycles,
        row.segments,
        row.prove_ms,
        row.peak_memory_bytes,
        TraceRoot(row.trace_root) if row.trace_root else None,
        Problem(row.trace_problem_code, row.trace_problem or "")
        if row.trace_problem_code
        else None,
    )
