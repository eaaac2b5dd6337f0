"""The jobs of a ledger, as workers, commands and metrics use them.

Changes are group commits, as a session's; questions run in threads of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from .database import Database
from .job_reading import JobReader
from .job_states import JobKind, JobQueue, JobState
from .job_values import (
    Artefact,
    Attempt,
    Job,
    JobCounts,
    Lease,
    Problem,
    ProofProgress,
    Submission,
    Worker,
    settlement_job,
)
from .job_writing import JobWriter
from .writer import GroupWriter

_Answer = TypeVar("_Answer")


def clock_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Jobs:
    """Made by `Ledger`. Every method raises `LedgerUnavailable` when the database cannot be used;
    those that take a lease, `LeaseLost` when it is no longer the job's.

    Args:
        clock_ms: Unix time in milliseconds. Clocks of several machines may differ by less than a
            lease; when they do not, work is done twice, and once counted.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupWriter,
        chain: str,
        clock_ms: Callable[[], int] = clock_ms,
    ) -> None:
        self._database = database
        self._writer = writer
        self._chain = chain
        self._clock_ms = clock_ms

    # Working

    async def claim_proof(
        self, queue: JobQueue, worker: Worker, *, lease_ms: int, most_starts: int
    ) -> Lease | None:
        """See `JobWriter.claim_proof`."""
        return await self._write(lambda w: w.claim_proof(queue, worker, lease_ms, most_starts))

    async def claim_step(
        self, job_id: str, step: str, states: Sequence[JobState], owner: str, *, lease_ms: int
    ) -> Lease | None:
        """See `JobWriter.claim_step`."""
        return await self._write(lambda w: w.claim_step(job_id, step, states, owner, lease_ms))

    async def renew(
        self, lease: Lease, lease_ms: int, progress: ProofProgress | None = None
    ) -> None:
        await self._write(lambda w: w.renew(lease, lease_ms, progress))

    async def move(
        self, lease: Lease, state: JobState, submission: Submission | None = None
    ) -> None:
        """A new state, while the lease goes on."""
        await self._write(lambda w: w.move(lease, state, submission))

    async def finish(
        self,
        lease: Lease,
        state: JobState,
        *,
        artefact: Artefact | None = None,
        submission: Submission | None = None,
    ) -> None:
        """The step is done: a new state, and the lease is over."""
        await self._write(
            lambda w: w.finish(lease, state, artefact=artefact, submission=submission)
        )

    async def release(self, lease: Lease) -> None:
        """The worker was told to stop; this start does not count."""
        await self._write(lambda w: w.release(lease))

    async def refuse(self, lease: Lease, device: str, problem: Problem) -> None:
        """The device would not finish the proof before it is due."""
        await self._write(lambda w: w.refuse(lease, device, problem))

    async def retry_later(
        self,
        lease: Lease,
        problem: Problem,
        rest_ms: int,
        *,
        cpu_next: bool = False,
        is_foreseen: bool = False,
    ) -> None:
        """The step is to be tried again after a rest."""
        await self._write(
            lambda w: w.retry_later(
                lease, problem, rest_ms, cpu_next=cpu_next, is_foreseen=is_foreseen
            )
        )

    async def fail(self, lease: Lease, problem: Problem) -> None:
        await self._write(lambda w: w.fail(lease, problem))

    # Looking after

    async def fail_unheld(self, job_id: str, problem: Problem) -> None:
        """Gives a job up whoever works on it."""
        await self._write(lambda w: w.fail_unheld(job_id, problem))

    async def set_due(self, session_id: int, due_at: int) -> None:
        """The session's open jobs are due at another time, Unix seconds."""
        await self._write(lambda w: w.set_due(session_id, due_at))

    async def add_settlement(self, session_id: int, due_at: int) -> bool:
        """Asks for a session to be settled. False when that was asked before."""

        def add(writer: JobWriter, reader: JobReader) -> bool:
            job_id = settlement_job(session_id)
            if reader.find(job_id) is not None:
                return False
            writer.add(
                job_id,
                JobKind.SETTLEMENT,
                session_id,
                queue=JobQueue.SETTLEMENT,
                due_at=due_at,
            )
            return True

        return await self._writer.write(
            lambda connection: add(
                JobWriter(connection, self._chain, self._clock_ms()),
                JobReader(connection, self._chain),
            )
        )

    async def ready_proofs(self, queue: JobQueue, limit: int) -> list[str]:
        """Ids of jobs whose proof may be begun now, the most urgent first."""
        return await self._read(lambda r: r.ready_proofs(queue, limit, self._clock_ms()))

    async def ready_steps(self, limit: int) -> list[tuple[str, JobState]]:
        """Jobs that wait for a step of the process with the host's key."""
        return await self._read(lambda r: r.ready_steps(limit, self._clock_ms()))

    async def open_sessions(self, limit: int = 10_000) -> list[int]:
        """Sessions that have unfinished jobs."""
        return await self._read(lambda r: r.open_sessions(limit))

    # For people

    async def retry(self, job_id: str) -> Job:
        """A failed job begins again where it failed.

        Raises:
            JobUnknown, TransitionRefused
        """
        return await self._write(lambda w: w.retry(job_id))

    async def job(self, job_id: str) -> Job:
        """Raises:
        JobUnknown
        """
        return await self._read(lambda r: r.job(job_id))

    async def find(self, job_id: str) -> Job | None:
        return await self._read(lambda r: r.find(job_id))

    async def newest(self, limit: int, states: Collection[JobState] | None = None) -> list[Job]:
        return await self._read(lambda r: r.newest(limit, states))

    async def of_sessions(self, session_ids: Collection[int]) -> list[Job]:
        return await self._read(lambda r: r.of_sessions(session_ids)) if session_ids else []

    async def attempts(self, job_id: str) -> list[Attempt]:
        return await self._read(lambda r: r.attempts(job_id))

    async def artefact(self, job_id: str) -> Artefact | None:
        return await self._read(lambda r: r.artefact(job_id))

    async def submission(self, job_id: str) -> Submission:
        return await self._read(lambda r: r.submission(job_id))

    async def counts(self) -> JobCounts:
        return await self._read(lambda r: r.counts())

    async def _write(self, change: Callable[[JobWriter], _Answer]) -> _Answer:
        return await self._writer.write(
            lambda connection: change(JobWriter(connection, self._chain, self._clock_ms()))
        )

    async def _read(self, ask: Callable[[JobReader], _Answer]) -> _Answer:
        def read() -> _Answer:
            with self._database.read() as connection:
                return ask(JobReader(connection, self._chain))

        return await asyncio.to_thread(read)
