"""What a job costs in the ledger as it grows, for `benchmarks.pipeline`.

In ledgers full of finished jobs, some more are brought from their checkpoint to their
confirmation, with nothing but the ledger's own operations. Each is timed twice: the work within
its transaction, and with the commit, which waits for the disk.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.job_reading import JobReader
from platformless.prover.ledger.job_states import JobKind, JobQueue, JobState
from platformless.prover.ledger.job_tables import jobs
from platformless.prover.ledger.job_values import Lease, Worker, checkpoint_job
from platformless.prover.ledger.job_writing import JobWriter
from platformless.prover.ledger.jobs import clock_ms
from platformless.prover.ledger.reading import settled_sessions

from .pipeline_filling import ARTEFACT, CHAIN, CONFIRMED, FINISHED_MS, PUBLISHED, SENT, fill

OF_A_JOB = (
    "claim_proof",
    "finish proven",
    "claim_step publish",
    "finish published",
    "claim_step submit",
    "move submitted",
    "finish confirmed",
    "set_due",
    "of_sessions",
)
OF_A_ROUND = ("ready_proofs", "ready_steps", "open_sessions", "settled_sessions")
"""That workers ask every few seconds, whatever they do; the last two each minute."""
FOR_PEOPLE = ("newest", "counts")
_LEASE_MS = 30_000
_AT_A_TIME = 100_000
WAITING = 50
"""Jobs in each open state that stay there, so that there is something to find."""
_FEW = 5
"""How often what is slow is asked."""
_FIRST_SESSION = 10**9
_OPEN_STATES = (JobState.PROVEN, JobState.PUBLISHED, JobState.SUBMITTED, JobState.RECORDED)
_WORKER = Worker("benchmark", "cpu", has_cpu=True)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Growth:
    """Median milliseconds of each operation."""

    finished: int
    """Jobs in the ledger that are done."""
    bytes_each: float
    """Of the database, for one of them."""
    work_ms: dict[str, float]
    with_commit_ms: dict[str, float]

    @property
    def job_ms(self) -> float:
        """The work of all that is done for one job."""
        return sum(self.work_ms[name] for name in (*OF_A_JOB, "ready_proofs", "ready_steps"))

    @property
    def job_with_commit_ms(self) -> float:
        names = (*OF_A_JOB, "ready_proofs", "ready_steps")
        return sum(self.with_commit_ms[name] for name in names)


@dataclass
class Clockwork:
    """Does things in transactions of their own, and keeps how long each took."""

    database: Database
    work: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    with_commit: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def change(self, name: str, do: Callable[[JobWriter], _Result]) -> _Result:
        began = time.perf_counter()
        with self.database.write() as connection:
            result = self._timed(name, lambda: do(JobWriter(connection, CHAIN, clock_ms())))
        self.with_commit[name].append(time.perf_counter() - began)
        return result

    def ask(self, name: str, ask: Callable[[sa.Connection], _Result]) -> _Result:
        began = time.perf_counter()
        with self.database.read() as connection:
            result = self._timed(name, lambda: ask(connection))
        self.with_commit[name].append(time.perf_counter() - began)
        return result

    def _timed(self, name: str, do: Callable[[], _Result]) -> _Result:
        began = time.perf_counter()
        result = do()
        self.work[name].append(time.perf_counter() - began)
        return result


def measure(folder: Path, sizes: list[int], count: int) -> list[Growth]:
    """A ledger of each size; `count` jobs are timed in each, by turns, so that what else the
    machine does falls on all of them."""
    with contextlib.ExitStack() as parts:
        clockworks = {}
        for size in sizes:
            database = Database.open(f"sqlite:///{folder}/{size}.db")
            parts.callback(database.close)
            began = time.perf_counter()
            for first in range(0, size, _AT_A_TIME):
                fill(database, first, min(first + _AT_A_TIME, size))
            say(f"{size:,} finished jobs written in {time.perf_counter() - began:.0f} s")
            clockworks[size] = Clockwork(database)
        bytes_each = {size: _bytes(one.database) / size for size, one in clockworks.items()}
        for clockwork in clockworks.values():
            _prepare(clockwork.database, count)
        for number in range(count):
            for clockwork in clockworks.values():
                _bring(clockwork, JobState.CONFIRMED)
            if number % 50 == 49:
                say(f"{number + 1} of {count} jobs timed")
        for _ in range(_FEW):
            for clockwork in clockworks.values():
                _look(clockwork)
        return [
            Growth(size, bytes_each[size], _medians(one.work), _medians(one.with_commit))
            for size, one in clockworks.items()
        ]


def _bytes(database: Database) -> int:
    with database.read() as connection:
        pages, each = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "page_size")
        )
    return pages * each


def _prepare(database: Database, count: int) -> None:
    """Jobs of new sessions: some that stay in each of the open states, then those to be timed."""
    elsewhere, first = Clockwork(database), _FIRST_SESSION
    for state in _OPEN_STATES:
        _add(database, range(first, first + WAITING), due_in_seconds=7200)
        for _ in range(WAITING):
            _bring(elsewhere, state)
        first += WAITING
    _add(database, range(first, first + count), due_in_seconds=3600)


def _look(clockwork: Clockwork) -> None:
    """What is asked now and then."""
    clockwork.ask("open_sessions", lambda c: JobReader(c, CHAIN).open_sessions(10_000))
    clockwork.ask("settled_sessions", lambda c: settled_sessions(c, CHAIN, FINISHED_MS))
    clockwork.ask("newest", lambda c: JobReader(c, CHAIN).newest(50))
    clockwork.ask("counts", lambda c: JobReader(c, CHAIN).counts())


def _add(database: Database, session_ids: range, due_in_seconds: int) -> None:
    """Sessions with a checkpoint that is confirmed, and one that is not begun."""
    now_ms = clock_ms()
    with database.write() as connection:
        writer = JobWriter(connection, CHAIN, now_ms)
        for session_id in session_ids:
            for number in (0, 1):
                writer.add(
                    checkpoint_job(session_id, number),
                    JobKind.CHECKPOINT,
                    session_id,
                    number=number,
                    queue=JobQueue.LIVE,
                    tokens=1000,
                    due_at=now_ms // 1000 + due_in_seconds,
                )
            first = checkpoint_job(session_id, 0)
            connection.execute(
                jobs.update().where(jobs.c.chain == CHAIN, jobs.c.job_id == first),
                {"state": JobState.CONFIRMED.value},
            )


def _bring(clockwork: Clockwork, end: JobState) -> None:
    """The most urgent job, to a state, as the workers do."""
    if end is JobState.RECORDED:
        return
    change = clockwork.change
    queue, published, submitted = JobQueue.LIVE, JobState.PUBLISHED, JobState.SUBMITTED
    lease = _given(change("claim_proof", lambda w: w.claim_proof(queue, _WORKER, _LEASE_MS, 5)))
    job_id = lease.job.id

    def claim(name: str, state: JobState) -> Lease:
        step = change(
            name, lambda w: w.claim_step(job_id, name, (state,), _WORKER.owner, _LEASE_MS)
        )
        return _given(step)

    proven = JobState.PROVEN
    change("finish proven", lambda w: w.finish(lease, proven, artefact=ARTEFACT))
    if end is proven:
        return
    publishing = claim("claim_step publish", proven)
    change(
        "finish published",
        lambda w: w.finish(publishing, published, artefact=ARTEFACT, submission=PUBLISHED),
    )
    if end is published:
        return
    submitting = claim("claim_step submit", published)
    change("move submitted", lambda w: w.move(submitting, submitted, SENT))
    if end is submitted:
        change("release", lambda w: w.release(submitting))
        return
    confirmed = JobState.CONFIRMED
    change("finish confirmed", lambda w: w.finish(submitting, confirmed, submission=CONFIRMED))
    session_id, now_ms = lease.job.session_id, clock_ms()
    change("set_due", lambda w: w.set_due(session_id, now_ms // 1000))
    clockwork.ask("of_sessions", lambda c: JobReader(c, CHAIN).of_sessions([session_id]))
    clockwork.ask("ready_proofs", lambda c: JobReader(c, CHAIN).ready_proofs(queue, 64, now_ms))
    clockwork.ask("ready_steps", lambda c: JobReader(c, CHAIN).ready_steps(64, now_ms))


def _given(lease: Lease | None) -> Lease:
    if lease is None:
        raise RuntimeError("there is no such job")
    return lease


def _medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: 1000 * statistics.median(values) for name, values in seconds.items()}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
