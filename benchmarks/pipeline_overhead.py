"""What the pipeline takes for a checkpoint besides its proof, for `benchmarks.pipeline`.

Broker, portal, chain, prover and settlement are processes, as an operator has them. Checkpoints
come one at a time, each when the one before is confirmed; the sessions take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

from platformless.chain.devchain import DevChain
from platformless.prover.broker.doorbell import Actor, Doorbell
from platformless.prover.broker.opening import open_broker
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_values import Attempt
from platformless.prover.ledger.jobs import Jobs, clock_ms
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.pipeline.rules import PipelineRules
from tests.chain.world import World
from tests.pipeline.brokers import OwnValkey
from tests.pipeline.recorded import RecordedSession

from . import pipeline_processes as processes

STEPS = ("prove", "publish", "submit")
SESSIONS = 6
IDLE_SECONDS = 5.0
_TOKENS = 100
_WARM_UP = 3
_BETWEEN_LOOKS_SECONDS = 0.01
_LIMIT_SECONDS = 60.0
_START_SECONDS = 10
"""On chain, before a session's first proof."""
_BETWEEN_PROOFS_SECONDS = 2
"""On chain: its clock is moved, since the contract takes so many tokens a second only."""


@dataclass(frozen=True)
class Way:
    """How the processes are set up."""

    name: str
    poll_seconds: float | None = None
    """How often a worker asks the broker; None: as it does when nothing is said."""
    chain_poll_seconds: float | None = None


@dataclass(frozen=True)
class Passage:
    """A checkpoint's way from its job to its confirmation, in milliseconds. In `proving` is the
    stand-in's time, which is in none of the others."""

    job_id: str
    overhead: int
    proving: int
    steps: dict[str, int]
    """Waiting for each step, and the step."""


@dataclass(frozen=True)
class Overhead:
    """Of one way to set the processes up."""

    way: Way
    passages: list[Passage]
    idle_cpu: dict[str, float]
    """Of a worker that has nothing to do, as a share of one core."""
    busy_cpu_ms: dict[str, float]
    """That a worker takes for a checkpoint."""


class Recorder:
    """Writes into the ledger of the processes, and rings, as the sessions' node does."""

    def __init__(self, world: World, ledger: Ledger, doorbell: Doorbell) -> None:
        self.ledger = ledger
        self._world = world
        self._doorbell = doorbell
        self._sessions: list[RecordedSession] = []

    async def begin(self, session_ids: list[int]) -> None:
        host = self._world.address("host")
        self._sessions = [
            await RecordedSession.begin(self._world, self.ledger, host, session_id, clock_ms)
            for session_id in session_ids
        ]

    async def record(self, number: int) -> str:
        """The next checkpoint of the session whose turn it is; its job."""
        await self._world.pass_time(_BETWEEN_PROOFS_SECONDS)
        session = self._sessions[number % len(self._sessions)]
        job_id = await session.checkpoint(_TOKENS)
        await self._doorbell.ring(JobQueue.LIVE, Actor.PROVE, job_id)
        return job_id


async def measure(dev_chain: DevChain, folder: Path, way: Way, checkpoints: int) -> Overhead:
    """Runs the processes in `folder`, which must be short: a socket is in it."""
    session_ids = await _opened(dev_chain, folder, min(SESSIONS, checkpoints))
    changes: dict[str, object] = {"confirmations": 1}
    if way.chain_poll_seconds is not None:
        changes["chain_poll_seconds"] = way.chain_poll_seconds
    poll = way.poll_seconds
    prover_poll = PipelineRules().poll_seconds if poll is None else poll
    with contextlib.ExitStack() as parts:
        broker = parts.enter_context(OwnValkey(folder / "broker"))
        environment = processes.settings_of(dev_chain.environment(), folder, broker.url, **changes)
        portal_url = parts.enter_context(processes.portal(folder / "portal", environment))
        environment["S5_PORTAL_URL"] = portal_url
        settings = await processes.ledger_of(dev_chain, folder)
        rings = open_broker(broker.url)
        parts.callback(rings.close)
        async with World(dev_chain, folder) as world, await Ledger.open(settings) as ledger:
            workers = {
                "settlement": parts.enter_context(processes.settlement(environment, poll)),
                "prover": parts.enter_context(processes.prover(environment, prover_poll)),
            }
            recorder = Recorder(world, ledger, Doorbell(rings, settings.chain))
            await recorder.begin(session_ids)
            for number in range(_WARM_UP):
                await _one(recorder, number)
            idle = await _spent(workers, asyncio.sleep(IDLE_SECONDS))
            passages: list[Passage] = []
            busy = await _spent(workers, _all(recorder, passages, checkpoints, way))
    return Overhead(
        way,
        passages,
        {name: seconds / IDLE_SECONDS for name, seconds in idle.items()},
        {name: 1000 * seconds / checkpoints for name, seconds in busy.items()},
    )


async def _opened(dev_chain: DevChain, folder: Path, count: int) -> list[int]:
    """Sessions on chain. Who has opened them is gone: its looking after the chain would count."""
    async with World(dev_chain, folder) as world:
        sessions = [await world.open_session() for _ in range(count)]
        await world.pass_time(_START_SECONDS)
        return sessions


async def _spent(
    workers: dict[str, processes.Process], work: Coroutine[object, object, None]
) -> dict[str, float]:
    """CPU seconds of each worker while something is done."""
    before = {name: worker.cpu_seconds for name, worker in workers.items()}
    await work
    return {name: worker.cpu_seconds - before[name] for name, worker in workers.items()}


async def _all(recorder: Recorder, passages: list[Passage], checkpoints: int, way: Way) -> None:
    for number in range(_WARM_UP, _WARM_UP + checkpoints):
        passages.append(await _one(recorder, number))
        if len(passages) % 10 == 0:
            say(f"{way.name}: {len(passages)} of {checkpoints}, {passages[-1].overhead} ms")


async def _one(recorder: Recorder, number: int) -> Passage:
    jobs, job_id = recorder.ledger.jobs, await recorder.record(number)
    deadline = time.monotonic() + _LIMIT_SECONDS
    while (job := await jobs.job(job_id)).state is not JobState.CONFIRMED:
        if job.state is JobState.FAILED or time.monotonic() > deadline:
            raise RuntimeError(f"not confirmed: {job}")
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
    return await passage(jobs, job_id)


async def passage(jobs: Jobs, job_id: str) -> Passage:
    """Of a job that is confirmed, by what the ledger says of its attempts."""
    job, artefact = await jobs.job(job_id), await jobs.artefact(job_id)
    confirmed = (await jobs.submission(job_id)).confirmed_ms
    assert artefact is not None
    assert confirmed is not None
    done = {one.step: one for one in await jobs.attempts(job_id) if one.outcome == "done"}
    steps: dict[str, int] = {}
    reached = job.created_ms
    for name in STEPS:
        attempt = done[name]
        steps[f"waiting for {name}"] = attempt.started_ms - reached
        reached = _ended(attempt)
        steps[name] = reached - attempt.started_ms
    steps["prove"] -= artefact.prove_ms
    overhead = confirmed - job.created_ms - artefact.prove_ms
    return Passage(job_id, overhead, artefact.prove_ms, steps)


def _ended(attempt: Attempt) -> int:
    assert attempt.ended_ms is not None
    return attempt.ended_ms


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
