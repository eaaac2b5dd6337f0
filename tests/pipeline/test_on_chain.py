"""What the chain has to say: sessions ended by others, proofs that are there already, transactions
that revert, sessions that nobody here knows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from platformless.chain.session import ProofSubmission, SessionStatus
from platformless.protocol.digests import ProofHash
from platformless.protocol.transcript import Tokens
from platformless.prover.broker.doorbell import Actor
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import checkpoint_job, settlement_job
from platformless.prover.pipeline.watching import ChainWatcher
from tests.chain.faulty import Fault, FaultyNode, for_method, reply

from .line import Line
from .stage import TOKENS, changed
from .stand_in import StandInProver

TOO_LITTLE_GAS = hex(40_000)
REFUSED = reply(error={"code": -32000, "message": "not now"})


async def test_a_session_that_its_client_ends_needs_no_more_proofs(line: Line) -> None:
    session_id = await line.open()
    async with line.running(StandInProver(), watch=True):
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
    async with line.running(StandInProver(seconds=60.0), watch=True):
        await line.record(session_id, checkpoints=2)
        await line.until_state(checkpoint_job(session_id, 1), JobState.PROVING)
        await line.world.send("client", line.marketplace.complete(session_id))
        jobs = await line.until_over(session_id)
    told = [(job.state.value, job.problem.code if job.problem else None) for job in jobs]
    assert told == [
        ("confirmed", None),
        ("failed", "CHN-202"),
        ("failed", "CHN-202"),
        ("confirmed", None),
    ]
    assert await line.outcomes(checkpoint_job(session_id, 1)) == [("cpu", "failed", None)]
    session = await line.on_chain(session_id)
    settled = await line.jobs.submission(settlement_job(session_id))
    assert (settled.outcome, settled.transaction_hash) == ("completed", None)
    assert settled.host_earned == str(session.paid_to_host.units)
    assert settled.refunded == str(session.refunded.units)
    assert session.tokens_proven == TOKENS


async def proven_and_published(line: Line) -> tuple[int, ProofSubmission]:
    """A session with one checkpoint, and what is to be submitted for it."""
    session_id = await line.open()
    await line.record(session_id)
    job_id = checkpoint_job(session_id, 0)
    async with line.proving():
        await line.until_state(job_id, JobState.PROVEN)
    async with line.settling(only=[Actor.PUBLISH]):
        await line.until_state(job_id, JobState.PUBLISHED)
    artefact, told = await line.jobs.artefact(job_id), await line.jobs.submission(job_id)
    assert artefact is not None
    submission = ProofSubmission(
        session_id, Tokens(TOKENS), artefact.proof_hash, told.proof_cid or "", told.delta_cid or ""
    )
    return session_id, submission


async def test_a_proof_that_is_on_chain_already_is_found_there_and_not_sent_again(
    line: Line,
) -> None:
    """The outbox was lost after the transaction had left."""
    session_id, submission = await proven_and_published(line)
    sent = await line.world.send("host", line.marketplace.submit_proof(submission))
    async with line.settling(outbox="new outbox.db"):
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
        await line.end(session_id)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 1)
    told = await line.jobs.submission(checkpoint_job(session_id, 0))
    assert told.transaction_hash == sent.transaction_hash
    assert told.block_number == sent.block_number


async def test_a_proof_that_the_chain_tells_otherwise_is_not_confirmed(
    relayed: Line, relay: FaultyNode
) -> None:
    line = relayed
    session_id, submission = await proven_and_published(line)
    right, wrong = submission.proof_hash.value.hex(), ProofHash.of(b"another").value.hex()

    async def forged(call: dict[str, Any]) -> web.Response | None:
        found = await line.world.chain._endpoints.ask(call["method"], *call["params"])
        if found is None:
            return None
        text = web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": found}).text or ""
        return web.Response(text=text.replace(right, wrong), content_type="application/json")

    relay.fault = for_method("eth_getTransactionReceipt", forged)
    job_id = checkpoint_job(session_id, 0)
    async with line.settling():
        job = await line.until_state(job_id, JobState.FAILED)
        assert job.problem is not None
        assert job.problem.code == "PIP-003"
        relay.fault = None
        await line.jobs.retry(job_id)
        await line.until_state(job_id, JobState.CONFIRMED)
        await line.end(session_id)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 1)


async def test_a_transaction_that_reverts_is_told_and_a_retry_sends_another(
    relayed: Line, relay: FaultyNode
) -> None:
    line = relayed
    session_id, _ = await proven_and_published(line)
    line.rules = changed(most_failures=2)
    relay.fault = for_method("eth_estimateGas", reply(result=TOO_LITTLE_GAS))
    job_id = checkpoint_job(session_id, 0)
    async with line.settling():
        job = await line.until_state(job_id, JobState.FAILED)
        assert job.problem is not None
        assert job.problem.code == "CHN-200"  # out of gas: no rule of the contract's
        reverted = (await line.jobs.submission(job_id)).transaction_hash
        relay.fault = None
        await line.jobs.retry(job_id)
        await line.until_state(job_id, JobState.CONFIRMED)
        await line.end(session_id)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 1)
    assert (await line.jobs.submission(job_id)).transaction_hash != reverted


async def test_a_session_that_the_ledger_does_not_know_is_reported_and_settled_in_time(
    line: Line,
) -> None:
    line.host = "host-2"
    await line.world.register(line.host)
    session_id = await line.open(proof_timeout_seconds=600)
    async with line.settling(watch=True) as watcher:

        async def is_reported() -> bool:
            return session_id in watcher.strangers

        await line.until(is_reported)
        assert await line.jobs.find(settlement_job(session_id)) is None
        assert (await line.on_chain(session_id)).status is SessionStatus.ACTIVE
        await line.pass_time(601)
        await line.until_state(settlement_job(session_id), JobState.CONFIRMED)

        async def is_forgotten() -> bool:
            return session_id not in watcher.strangers

        await line.until(is_forgotten)
    session = await line.on_chain(session_id)
    assert session.status is not SessionStatus.ACTIVE
    assert session.refunded == session.deposit


async def test_deadlines_follow_the_sessions_proofs(line: Line) -> None:
    session_id = await line.open(proof_timeout_seconds=600)
    async with line.running():
        await line.record(session_id, checkpoints=2)
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
        due_at = (await line.on_chain(session_id)).times_out_at

        async def is_told() -> bool:
            job = await line.jobs.job(checkpoint_job(session_id, 1))
            return job.state is JobState.CONFIRMED or job.due_at >= due_at

        await line.until(is_told)
        await line.end(session_id)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 2)


def watcher_of(line: Line) -> ChainWatcher:
    """One whose rounds the test makes."""
    address = line.world.address(line.host)
    return ChainWatcher(line.ledger, line.chain, address, line.rules, line.clock_ms)


def no_word_of(session_id: int) -> Fault:
    """A node that refuses every call with the session's number."""
    number = session_id.to_bytes(32, "big").hex()

    async def only(call: dict[str, Any]) -> web.Response | None:
        return await REFUSED(call) if number in call["params"][0]["data"] else None

    return for_method("eth_call", only)


async def test_a_stranger_that_could_not_be_looked_at_is_looked_at_in_the_next_round(
    relayed: Line, relay: FaultyNode
) -> None:
    session_id = await relayed.open()
    watcher = watcher_of(relayed)
    relay.fault = no_word_of(session_id)
    await watcher.round()
    assert session_id not in watcher.strangers
    await relayed.world.chain.command("anvil_mine", hex(100))
    relay.fault = None
    await watcher.round()
    assert session_id in watcher.strangers


async def test_a_stranger_whose_event_the_node_had_not_yet_is_found(
    relayed: Line, relay: FaultyNode
) -> None:
    watcher = watcher_of(relayed)
    await watcher.round()
    session_id = await relayed.open()
    relay.fault = for_method("eth_getLogs", reply(result=[]))
    await watcher.round()
    relay.fault = None
    await watcher.round()
    assert session_id in watcher.strangers


async def test_one_session_that_cannot_be_looked_at_hides_no_other(
    relayed: Line, relay: FaultyNode
) -> None:
    known, unknown = await relayed.open(), await relayed.open()
    await relayed.record(known, ring=False)
    assert known in await relayed.jobs.open_sessions()
    watcher = watcher_of(relayed)
    relay.fault = no_word_of(known)
    await watcher.round()
    assert unknown in watcher.strangers


async def test_what_was_said_is_deleted_in_time_also_while_no_chain_can_be_asked(
    relayed: Line, relay: FaultyNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasing = asyncio.Event()

    async def erase(_before_ms: int) -> int:
        erasing.set()
        return 1

    monkeypatch.setattr(relayed.ledger, "erase_settled", erase)
    relay.fault = REFUSED
    watching = asyncio.create_task(watcher_of(relayed).run())
    try:
        await asyncio.wait_for(erasing.wait(), 30)
    finally:
        watching.cancel()
