"""The broker may lose, double and garble what it is told: the ledger knows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from platformless.prover.broker.doorbell import Actor, Doorbell
from platformless.prover.broker.opening import open_broker
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_values import checkpoint_job, sample_job, settlement_job
from tests.chain.world import World

from .brokers import OwnValkey
from .line import Line, dramatiqs_threads
from .stage import changed
from .stand_in import StandInProver, StandInTracer

SERVED = (JobQueue.LIVE, JobQueue.AUDIT, JobQueue.SETTLEMENT)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnValkey]:
    """A broker that may be stopped."""
    with OwnValkey(tmp_path / "broker") as server:
        yield server


@pytest.fixture
async def own_line(
    world: World, own_server: OwnValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Line]:
    """A line whose workers ask again soon for a broker that is down."""
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.1)
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.1)
    monkeypatch.setattr("platformless.prover.pipeline.worker._STOP_SECONDS", 0.3)
    async with Line(world, tmp_path, own_server.url) as line:
        yield line


async def test_a_broker_that_is_wiped_again_and_again_loses_nothing(
    line: Line, valkey_server: OwnValkey
) -> None:
    async with line.running(StandInProver(seconds=0.02)):
        ids = [await line.session(checkpoints=2) for _ in range(3)]
        over = asyncio.create_task(line.until_over(*ids))
        for _ in range(20):
            await asyncio.to_thread(valkey_server.wipe)
            await asyncio.wait({over}, timeout=0.02)
        await over
    for session_id in ids:
        await line.require_confirmed(session_id, 2)


async def test_a_broker_may_be_down_at_first_and_again_later(
    own_line: Line, own_server: OwnValkey
) -> None:
    line = own_line
    own_server.stop()
    async with line.running(StandInProver(seconds=0.02)):
        first = await line.session(checkpoints=2)
        await asyncio.sleep(0.3)
        own_server.start()
        await line.until_state(checkpoint_job(first, 0), JobState.PROVEN, JobState.CONFIRMED)
        own_server.stop()
        second = await line.session(checkpoints=2)
        own_server.start()
        await line.until_over(first, second)
    for session_id in (first, second):
        await line.require_confirmed(session_id, 2)


async def test_a_worker_ends_while_its_broker_is_gone(
    own_line: Line, own_server: OwnValkey
) -> None:
    session_id = await own_line.open()
    await own_line.record(session_id)
    job_id = checkpoint_job(session_id, 0)
    async with asyncio.timeout(30):
        async with own_line.running(StandInProver(seconds=60.0)):
            await own_line.until_state(job_id, JobState.PROVING)
            own_server.stop()

    async def no_thread_is_left() -> bool:
        return dramatiqs_threads() == []

    await own_line.until(no_thread_is_left)
    job = await own_line.jobs.job(job_id)
    assert (job.state, job.owner, job.starts) == (JobState.RECORDED, None, 0)


class Tenfold(Doorbell):
    """Rings ten times for once."""

    async def ring(self, queue: JobQueue, actor: Actor, *job_ids: str) -> None:
        await super().ring(queue, actor, *(10 * job_ids))


async def test_every_message_ten_times_is_work_once(line: Line) -> None:
    line.rules = changed(lease_seconds=60.0)  # nobody is thought dead
    broker = open_broker(line.broker_url)
    line.doorbell = Tenfold(broker, line.tag)
    provers = [StandInProver(), StandInProver()]
    async with line.settling(), line.proving(provers[0]), line.proving(provers[1], owner="other"):
        session_id = await line.session(checkpoints=3)
        await line.until_over(session_id)
    broker.close()
    await line.require_confirmed(session_id, 3)
    assert sum(len(prover.windows) for prover in provers) == 3
    for number in range(3):
        job_id = checkpoint_job(session_id, number)
        for step in ("prove", "publish"):
            done = [one for one in await line.outcomes(job_id, step) if one[1] == "done"]
            assert len(done) == 1


def garbage(line: Line, broker: RedisBroker) -> None:
    """What no worker understands, in every queue."""
    for queue in map(line.doorbell.name, SERVED):
        for actor in [*(one.value for one in Actor), "no actor"]:
            for args, named in (
                (("999999-0",), {}),
                (("999999-settlement",), {}),
                (("999999-0-sample",), {}),
                (("",), {}),
                ((None,), {}),
                (([1], "x"), {}),
                ((), {}),
                (("1-0",), {"more": 1}),
            ):
                message: dramatiq.Message[None] = dramatiq.Message(
                    queue_name=queue, actor_name=actor, args=args, kwargs=named, options={}
                )
                broker.enqueue(message)
        broker.do_enqueue(queue, f"bytes {random.random()}", b"\xff\x00 no message")
        broker.do_enqueue(queue, f"json {random.random()}", b'{"queue_name": 5}')


async def test_messages_that_mean_nothing_hinder_nobody(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.1)
    broker = open_broker(line.broker_url)
    assert isinstance(broker, RedisBroker)
    garbage(line, broker)
    async with line.running(), line.sampling(StandInTracer(), StandInProver()):
        session_id = await line.session()
        garbage(line, broker)
        await line.until_over(session_id)
    broker.close()
    await line.require_confirmed(session_id, 1)


async def test_everybody_is_rung_for_what_is_not_his_and_nothing_comes_of_it(line: Line) -> None:
    """Each job in each of its states, while the one who is to come is away."""
    session_id = await line.open()
    checkpoint, settlement = checkpoint_job(session_id, 0), settlement_job(session_id)
    ids = (checkpoint, sample_job(session_id, 0), settlement)
    tracer, prover, sampler = StandInTracer(), StandInProver(), StandInProver()

    async def disturb(but: Actor) -> None:
        """Rings for all but one actor, then waits until all bells were heard."""
        before = [await line.jobs.find(job_id) for job_id in ids]
        for actor in set(Actor) - {but}:
            for queue in SERVED:
                await line.doorbell.ring(queue, actor, *ids)
        away = tuple(set(Actor) - {but})
        async with line.settling(only=away), line.sampling(tracer, sampler):
            async with line.proving(prover, tracer=tracer):
                await asyncio.sleep(0.5)
        assert [await line.jobs.find(job_id) for job_id in ids] == before

    await line.record(session_id)
    async with line.proving(prover, tracer=tracer):
        await line.until_state(checkpoint, JobState.PROVEN)
    await disturb(Actor.PUBLISH)
    async with line.settling(only=[Actor.PUBLISH, Actor.SUBMIT]):
        await line.until_state(checkpoint, JobState.CONFIRMED)
    await line.mine(8)
    async with line.sampling(tracer, sampler):
        await line.until_state(ids[1], JobState.PROVEN)
    await disturb(Actor.PUBLISH_SAMPLE)
    await line.end(session_id)
    async with line.settling():
        await line.until_over(session_id)
    assert [(await line.jobs.job(job_id)).state for job_id in ids] == [JobState.CONFIRMED] * 3
    assert (len(prover.windows), len(sampler.samplings)) == (1, 1)


async def test_messages_that_somebody_took_and_keeps_hinder_nobody(line: Line) -> None:
    """A connection that breaks after the broker sent messages leaves them with a worker that
    never saw them, and lives."""
    broker = open_broker(line.broker_url)
    assert isinstance(broker, RedisBroker)
    for queue in (line.doorbell.name(JobQueue.LIVE), line.doorbell.name(JobQueue.SETTLEMENT)):
        for number in range(30):
            broker.do_enqueue(queue, f"{number} {random.random()}", b"lost")
        assert len(broker.do_fetch(queue, 30)) == 30
    session_id = await line.open()
    silent = Silent(broker, line.tag)
    bell, line.doorbell = line.doorbell, silent
    await line.record(session_id, checkpoints=2)
    await line.end(session_id)
    async with line.running():
        await line.until_over(session_id)
    line.doorbell = bell
    broker.close()
    await line.require_confirmed(session_id, 2)


class Silent(Doorbell):
    """Nobody hears it."""

    async def ring(self, queue: JobQueue, actor: Actor, *job_ids: str) -> None:
        pass
