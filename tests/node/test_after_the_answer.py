"""What follows an answer: its client hears of the proof, and a session that is left is ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from platformless.client.connection import Notice
from platformless.client.requests import Sampling
from platformless.protocol.digests import ProofHash
from platformless.protocol.replies import CheckpointSubmitted, ProofProgress, ProofSubmitted
from platformless.protocol.transcript import Kind
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_values import (
    Artefact,
    Worker,
    checkpoint_job,
    settlement_job,
)
from platformless.prover.ledger.job_values import ProofProgress as Progress
from platformless.prover.ledger.jobs import Jobs

from .served import Served, own_node, until
from .served import served as served
from .world import QUICK, changed

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "Write a very long story about the sea, with many chapters."
LEASE_MS = 60_000
GREEDY = Sampling(temperature=0.0)
LEAVING = changed(QUICK, settle_seconds=0.3)


async def has_settlement(jobs: Jobs, session_id: int) -> bool:
    return await jobs.find(settlement_job(session_id)) is not None


async def test_a_client_hears_how_far_its_proof_is(served: Served, tmp_path: Path) -> None:
    heard: list[Notice] = []

    async def hears(what: Callable[[Notice], bool]) -> None:
        async def has_heard() -> bool:
            return any(what(notice) for notice in heard)

        await until(has_heard)

    own = own_node(served, tmp_path, checkpoint_tokens=100)
    async with own as node, served.nodes.client() as client:
        jobs = node.ledger.jobs
        session = await served.nodes.open(client)
        session.on_notice = heard.append
        async with session:
            await (await session.ask(LONG, max_tokens=120, sampling=GREEDY)).text()
            lease = await jobs.claim_proof(
                JobQueue.LIVE, Worker("w", "cpu", True), lease_ms=LEASE_MS, most_starts=5
            )
            assert lease is not None
            assert lease.job.id == checkpoint_job(session.id, 0)
            await jobs.renew(lease, LEASE_MS, Progress(25, 100, 1, 4))
            await hears(lambda one: isinstance(one, ProofProgress) and one.percent == 25)
            bundle = b"a bundle"
            proof_hash = ProofHash.of(bundle)
            artefact = Artefact(proof_hash, len(bundle), bundle, "cpu", "composite", 100, 4, 9, 0)
            await jobs.finish(lease, JobState.PROVEN, artefact=artefact)
            await hears(lambda one: isinstance(one, ProofProgress) and one.state == "proven")
            published = await jobs.claim_step(
                lease.job.id, "publish", (JobState.PROVEN,), "s", lease_ms=LEASE_MS
            )
            assert published is not None
            await jobs.finish(published, JobState.PUBLISHED)
            await hears(lambda one: isinstance(one, CheckpointSubmitted))
            submitted = await jobs.claim_step(
                lease.job.id, "submit", (JobState.PUBLISHED,), "s", lease_ms=LEASE_MS
            )
            assert submitted is not None
            await jobs.finish(submitted, JobState.CONFIRMED)
            await hears(
                lambda one: isinstance(one, ProofSubmitted) and one.proof_id == str(proof_hash)
            )
    milestones = [one for one in heard if not isinstance(one, ProofProgress)]
    assert [type(one) for one in milestones] == [CheckpointSubmitted, ProofSubmitted]


async def test_a_session_whose_client_left_is_ended_and_settled(
    served: Served, tmp_path: Path
) -> None:
    async with own_node(served, tmp_path, LEAVING) as node, served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            await (await session.ask(LONG, max_tokens=120, sampling=GREEDY)).text()
        await until(lambda: has_settlement(node.ledger.jobs, session.id))
        kept = await node.ledger.session(session.id)
        assert kept is not None
        assert kept.ended
        assert kept.entries[-1].entry.kind is Kind.END
        assert sum(one.tokens_after - one.tokens_before for one in kept.checkpoints) == 120
        job = await node.ledger.jobs.job(settlement_job(session.id))
        chain = await served.nodes.world.marketplace.session(session.id)
        assert job.due_at == chain.times_out_at


async def test_a_client_that_comes_back_in_time_keeps_its_session(
    served: Served, tmp_path: Path
) -> None:
    rules = changed(QUICK, grace_seconds=0, settle_seconds=3600)
    async with own_node(served, tmp_path, rules) as node, served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            await (await session.ask(LONG, max_tokens=100, sampling=GREEDY)).text()

        async def is_put_away() -> bool:
            return session.id not in node.sessions.live()

        await until(is_put_away)
        async with session:
            await (await session.ask(LONG, max_tokens=10, sampling=GREEDY)).text()
        assert not await has_settlement(node.ledger.jobs, session.id)


async def test_a_restarted_node_ends_what_its_clients_left(served: Served, tmp_path: Path) -> None:
    async with served.nodes.client() as client:
        async with own_node(served, tmp_path), await served.nodes.open(client) as session:
            await (await session.ask(LONG, max_tokens=110, sampling=GREEDY)).text()
        async with own_node(served, tmp_path, LEAVING) as node:
            await until(lambda: has_settlement(node.ledger.jobs, session.id))
            jobs = await node.ledger.jobs.of_sessions([session.id])
            assert [job.id for job in jobs] == [
                checkpoint_job(session.id, 0),
                settlement_job(session.id),
            ]


async def test_a_session_that_the_chain_has_ended_is_settled_as_it_is(
    served: Served, tmp_path: Path
) -> None:
    world = served.nodes.world
    async with own_node(served, tmp_path, LEAVING) as node, served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            await (await session.ask(LONG, max_tokens=110, sampling=GREEDY)).text()
            await world.send("client", world.marketplace.complete(session.id))
        await until(lambda: has_settlement(node.ledger.jobs, session.id))
        assert session.id not in await node.ledger.open_sessions()
