"""A ledger whose jobs are made, and brought somewhere, in few words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa

from platformless.protocol.delta import Delta, Message, delta_salt
from platformless.protocol.digests import ProofHash, TraceRoot
from platformless.protocol.seed import SeedPart
from platformless.protocol.window import Window
from platformless.prover.ledger.database import Database
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_tables import artefacts, attempts, jobs, submissions
from platformless.prover.ledger.job_values import (
    Artefact,
    Job,
    Lease,
    Problem,
    ProofProgress,
    Submission,
    Worker,
)
from platformless.prover.ledger.jobs import Jobs
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.values import Changes, KeptCheckpoint, KeptEntry, SessionStart
from tests.samples import COMPLETION, FIRST, HEADER, PROMPT, SECOND

KEY = b"\x01" * 32
SECOND_MS, DAY_MS = 1_000, 86_400_000
LEASE_MS = 30 * SECOND_MS
MOST_STARTS = 3
DUE = 1_700_003_600
PROBLEM = Problem("TST-001", "it went wrong")
HALF_DONE = ProofProgress(5, 10, 1, 2, 60_000)
BUNDLE = b"the bundle"
ARTEFACT = Artefact(
    ProofHash.of(BUNDLE), len(BUNDLE), BUNDLE, "cpu", "composite", 10, 1, 5, 1 << 30
)
TRACED = replace(ARTEFACT, trace_root=TraceRoot(b"\x0a" * 32))
CPU = Worker("a worker with a CPU", "cpu", has_cpu=True)
GPU = Worker("a worker with a GPU alone", "cuda", has_cpu=False)
BOTH = Worker("a worker with a GPU and a CPU", "cuda", has_cpu=True)

on_both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
LIVE, AUDIT, SETTLEMENT = JobQueue.LIVE, JobQueue.AUDIT, JobQueue.SETTLEMENT
RECORDED, PROVING, PROVEN = JobState.RECORDED, JobState.PROVING, JobState.PROVEN
PUBLISHED, SUBMITTED = JobState.PUBLISHED, JobState.SUBMITTED
CONFIRMED, FAILED = JobState.CONFIRMED, JobState.FAILED


class Clock:
    """Unix milliseconds, which pass when they are told to."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms

    def go(self, ms: int) -> None:
        self.now_ms += ms


def cut(window: Window) -> KeptCheckpoint:
    """The checkpoint of a window."""
    claim = window.claim()
    delta = Delta(
        HEADER.terms.session_id,
        window.checkpoint,
        ProofHash.zero(),
        claim.tokens_before,
        claim.tokens_after,
        delta_salt(HEADER.salt, window.checkpoint),
        (Message("user", PROMPT.text, 1), Message("assistant", COMPLETION.text, 2)),
    )
    return KeptCheckpoint(
        number=window.checkpoint,
        first_entry=window.before.entries,
        end_entry=window.after.entries,
        tokens_before=claim.tokens_before,
        tokens_after=claim.tokens_after,
        state_before=claim.state_before,
        state_after=claim.state_after,
        delta=delta,
        at_ms=3,
    )


_WRITTEN = FIRST.entries + SECOND.entries
_ENTRIES = tuple(KeptEntry(number, entry, number) for number, entry in enumerate(_WRITTEN))
STARTED = Changes(start=SessionStart(HEADER, SeedPart.zero(), SeedPart.zero()))


@dataclass(frozen=True)
class Rows:
    """What the four tables say of a job."""

    job: Any
    attempts: Any
    artefacts: Any
    submissions: Any


class Store:
    """A ledger and its clock."""

    def __init__(
        self, ledger: Ledger, database: Database, settings: LedgerSettings, clock: Clock
    ) -> None:
        self.ledger = ledger
        self.database = database
        self.settings = settings
        self.clock = clock

    @classmethod
    async def open(cls, settings: LedgerSettings) -> Store:
        clock = Clock()
        ledger = await Ledger.open(settings, clock)
        return cls(ledger, Database.open(settings.url), settings, clock)

    async def close(self) -> None:
        self.database.close()
        await self.ledger.close()

    @property
    def chain(self) -> str:
        return self.settings.chain

    @property
    def jobs(self) -> Jobs:
        return self.ledger.jobs

    def elsewhere(self) -> LedgerSettings:
        """Another chain in the same database."""
        return replace(self.settings, chain=f"another than {self.chain}", key=b"\x02" * 32)

    async def session(
        self, session_id: int = 7, checkpoints: int = 1, *, due_at: int = DUE, ended: bool = False
    ) -> None:
        """A session that has checkpoints, of which the first two can be read as windows."""
        await self.ledger.append(session_id, replace(STARTED, entries=_ENTRIES))
        for number in range(checkpoints):
            checkpoint = cut(FIRST if number == 0 else SECOND)
            checkpoint = replace(checkpoint, number=number)
            await self.ledger.append(session_id, Changes(checkpoint=checkpoint, due_at=due_at))
        if ended:
            await self.ledger.append(session_id, Changes(ended=True, due_at=due_at))

    async def place(self, job_id: str, state: JobState, **columns: Any) -> None:
        """Brings a job somewhere, past all rules."""
        with self.database.write() as connection:
            connection.execute(self._update(job_id), {"state": state.value, **columns})

    async def claim(
        self,
        worker: Worker = CPU,
        queue: JobQueue = LIVE,
        *,
        lease_ms: int = LEASE_MS,
        most_starts: int = MOST_STARTS,
    ) -> Lease | None:
        return await self.jobs.claim_proof(
            queue, worker, lease_ms=lease_ms, most_starts=most_starts
        )

    async def claimed(self, worker: Worker = CPU, queue: JobQueue = LIVE) -> Lease:
        """The lease of a proof that is there."""
        lease = await self.claim(worker, queue)
        assert lease is not None
        return lease

    async def step(self, job_id: str, *states: JobState, owner: str = "host") -> Lease | None:
        return await self.jobs.claim_step(job_id, "step", states, owner, lease_ms=LEASE_MS)

    async def stepped(self, job_id: str, *states: JobState) -> Lease:
        """The lease of a step that can be taken."""
        lease = await self.step(job_id, *states)
        assert lease is not None
        return lease

    async def confirm(self, job_id: str) -> None:
        """A proven checkpoint, or a settlement, to its end."""
        job = await self.jobs.job(job_id)
        following = {PROVEN: PUBLISHED, PUBLISHED: SUBMITTED, RECORDED: SUBMITTED}
        while (job := await self.jobs.job(job_id)).state is not CONFIRMED:
            lease = await self.stepped(job_id, job.state)
            await self.jobs.finish(lease, following.get(job.state, CONFIRMED))

    async def prove_all(self, artefact: Artefact = ARTEFACT) -> None:
        while (lease := await self.claim()) is not None:
            await self.jobs.finish(lease, PROVEN, artefact=artefact)

    async def sampled(
        self, session_id: int = 7, checkpoints: int = 1, *, ended: bool = False
    ) -> None:
        """A session whose checkpoints are confirmed with traces, so that each has a sample."""
        await self.session(session_id, checkpoints, ended=ended)
        await self.prove_all(TRACED)
        for number in range(checkpoints):
            await self.confirm(f"{session_id}-{number}")

    async def settle(self, session_id: int, checkpoints: int = 1) -> None:
        """A session that was added, from its proofs to its money."""
        await self.prove_all()
        for number in range(checkpoints):
            await self.confirm(f"{session_id}-{number}")
        await self.confirm(f"{session_id}-settlement")

    async def state(self, job_id: str) -> JobState:
        return (await self.jobs.job(job_id)).state

    def rows(self, job_id: str) -> Rows:
        found = []
        with self.database.read() as connection:
            for table in (jobs, attempts, artefacts, submissions):
                query = sa.select(table).where(
                    table.c.chain == self.chain, table.c.job_id == job_id
                )
                query = query.order_by(*table.primary_key)
                found.append([tuple(row) for row in connection.execute(query)])
        return Rows(*found)

    def _update(self, job_id: str) -> sa.Update:
        return jobs.update().where(jobs.c.chain == self.chain, jobs.c.job_id == job_id)


async def try_all(store: Store, lease: Lease) -> list[BaseException | None]:
    """Everything that a lease's holder may do; what each raised."""
    found: list[BaseException | None] = []
    for change in (
        store.jobs.renew(lease, LEASE_MS, HALF_DONE),
        store.jobs.move(lease, SUBMITTED, Submission(fee_wei="1")),
        store.jobs.finish(lease, PROVEN, artefact=ARTEFACT),
        store.jobs.finish(lease, CONFIRMED, submission=Submission(fee_wei="1")),
        store.jobs.release(lease),
        store.jobs.refuse(lease, "cpu", PROBLEM),
        store.jobs.retry_later(lease, PROBLEM, 1000),
        store.jobs.fail(lease, PROBLEM),
    ):
        try:
            await change
        except Exception as error:
            found.append(error)
        else:
            found.append(None)
    return found


def times(job: Job) -> tuple[int, int]:
    """How often a job was begun, and how often it failed in a row."""
    return job.starts, job.failures
