"""How a long queue is worked off by one prover process, for `benchmarks.pipeline`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from platformless.chain.devchain import DevChain
from platformless.node.sessions.metering import ClaimRules, Meter
from platformless.node.sessions.transcribing import kept_checkpoint, messages_of
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.seed import SeedPart
from platformless.protocol.transcript import Entry, Kind, Tokens
from platformless.prover.broker.doorbell import Actor, Doorbell
from platformless.prover.broker.opening import open_broker
from platformless.prover.ledger.database import Database
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_tables import attempts, jobs
from platformless.prover.ledger.job_values import checkpoint_job
from platformless.prover.ledger.jobs import clock_ms
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.values import Changes, KeptEntry, SessionStart
from platformless.prover.pipeline.rules import PipelineRules
from tests.pipeline.brokers import OwnValkey
from tests.samples import COMPLETION, HEADER

from . import pipeline_processes as processes

_TOKENS = 100
_AT_A_TIME = 500
_SAMPLE_SECONDS = 0.5
_QUIET_SECONDS = 120.0
"""After so long without a proof the benchmark gives up."""
_DUE_SECONDS = 86_400
_QUESTION = Prompt((ChatMessage("user", "What is a lighthouse?"),))


@dataclass(frozen=True)
class Sample:
    """The worker's process at a moment."""

    seconds: float
    proven: int
    resident_bytes: int
    anonymous_bytes: int
    descriptors: int


@dataclass(frozen=True)
class Drain:
    jobs: int
    writing_seconds: float
    """That the sessions took to be written, many at a time."""
    seconds: float
    cpu_seconds: float
    """Of the worker."""
    states: dict[str, int]
    """How many jobs are in each at the end."""
    attempts: int
    samples: list[Sample]

    @property
    def jobs_per_second(self) -> float:
        return self.jobs / self.seconds

    def resident_mib(self, first: float, end: float) -> float:
        """On average between two shares of the jobs."""
        found = self._between(first, end)
        return sum(one.resident_bytes for one in found) / len(found) / 2**20

    def descriptors(self, first: float, end: float) -> int:
        """At most."""
        return max(one.descriptors for one in self._between(first, end))

    def _between(self, first: float, end: float) -> list[Sample]:
        found = [one for one in self.samples if first <= one.proven / self.jobs <= end]
        return found or self.samples[:1]


async def measure(dev_chain: DevChain, folder: Path, count: int) -> Drain:
    """The chain is only asked which one it is."""
    settings = await processes.ledger_of(dev_chain, folder)
    with OwnValkey(folder / "broker") as broker:
        began = time.perf_counter()
        async with await Ledger.open(settings) as ledger:
            for first in range(1, count + 1, _AT_A_TIME):
                session_ids = range(first, min(first + _AT_A_TIME, count + 1))
                await asyncio.gather(*(write(ledger, one) for one in session_ids))
        writing_seconds = time.perf_counter() - began
        say(f"{count:,} sessions written in {writing_seconds:.0f} s")
        client = open_broker(broker.url)
        ids = (checkpoint_job(session_id, 0) for session_id in range(1, count + 1))
        await Doorbell(client, settings.chain).ring(JobQueue.LIVE, Actor.PROVE, *ids)
        client.close()
        environment = processes.settings_of(dev_chain.environment(), folder, broker.url)
        database = Database.open(settings.url)
        with (
            contextlib.closing(database),
            processes.prover(environment, PipelineRules().poll_seconds) as worker,
        ):
            before = worker.cpu_seconds
            samples = list(_samples(worker, database, count))
            cpu_seconds = worker.cpu_seconds - before
        states, begun = _told(database)
        return Drain(
            jobs=count,
            writing_seconds=writing_seconds,
            seconds=samples[-1].seconds,
            cpu_seconds=cpu_seconds,
            states=states,
            attempts=begun,
            samples=samples,
        )


async def write(ledger: Ledger, session_id: int) -> None:
    """A session with one checkpoint, whose tokens are nobody's."""
    header = replace(HEADER, terms=replace(HEADER.terms, session_id=session_id))
    now_ms = clock_ms()
    due_at = now_ms // 1000 + _DUE_SECONDS
    meter = Meter.start(header, ClaimRules(Tokens(_TOKENS), Tokens(_TOKENS), Tokens(10**6), due_at))
    said = (
        Entry(Kind.PROMPT, (1, 2, 3), _QUESTION.text()),
        replace(COMPLETION, tokens=tuple(range(_TOKENS))),
    )
    kept = tuple(KeptEntry(number, entry, now_ms) for number, entry in enumerate(said))
    for one in kept:
        meter = meter.add(one.entry, *messages_of(one))
    cut, _ = meter.cut()
    start = SessionStart(header, SeedPart.zero(), SeedPart.zero())
    checkpoint = kept_checkpoint(cut, now_ms)
    changes = Changes(start=start, entries=kept, checkpoint=checkpoint, due_at=due_at)
    await ledger.append(session_id, changes)


def _samples(worker: processes.Process, database: Database, count: int) -> Iterator[Sample]:
    """Until all are proven."""
    began = time.perf_counter()
    proven, moved = -1, began
    while proven < count:
        worker.require_running()
        found, now = _count(database, JobState.PROVEN), time.perf_counter()
        if found // 1000 > proven // 1000:
            say(f"{found:,} of {count:,} proven after {now - began:.0f} s")
        if found > proven:
            proven, moved = found, now
        elif now - moved > _QUIET_SECONDS:
            raise RuntimeError(f"only {found} of {count} jobs are proven")
        yield Sample(
            now - began,
            found,
            worker.resident_bytes,
            worker.anonymous_bytes,
            worker.descriptors,
        )
        time.sleep(_SAMPLE_SECONDS)


def _count(database: Database, state: JobState) -> int:
    query = sa.select(sa.func.count()).where(jobs.c.state == state.value)
    with database.read() as connection:
        return connection.execute(query).scalar_one()


def _told(database: Database) -> tuple[dict[str, int], int]:
    by_state = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
    with database.read() as connection:
        states = {row[0]: row[1] for row in connection.execute(by_state)}
        begun = connection.execute(sa.select(sa.func.count()).select_from(attempts)).scalar_one()
    return states, begun


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
