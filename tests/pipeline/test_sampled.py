"""From a traced checkpoint to a published proof of sampled cells.

In the first test model, trace, drawn cells and witness are real, and the real guest is run on them;
its STARK, and all of the other tests, which are about the schedule, are stand-ins'.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from platformless.protocol import index as indexes
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import ProofHash, TraceRoot, WeightsRoot
from platformless.protocol.index import IndexEntry
from platformless.protocol.sample.beacon import beacon_block
from platformless.protocol.sample.claim import SampleClaim
from platformless.protocol.sample.plan import COVERED_KINDS
from platformless.protocol.sample.witness import Sampling
from platformless.protocol.trace.cells import Span
from platformless.protocol.trace.challenge import Beacon
from platformless.prover.binary import find_prover
from platformless.prover.broker.doorbell import Actor
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_values import (
    Worker,
    checkpoint_job,
    sample_job,
    settlement_job,
)
from platformless.prover.pipeline.sample_proving import NOT_DRAWN
from platformless.prover.pipeline.tracing import Tracer
from platformless.prover.process import StarkProver
from platformless.prover.sample import execute_sample
from tests.chain.faulty import FaultyNode, for_method, reply, text

from .line import Line
from .stage import TOKENS, changed
from .stand_in import StandInProver, StandInTracer

CONFIRMED, FAILED = JobState.CONFIRMED, JobState.FAILED
ENOUGH_BLOCKS = 8
PROMPT_TOKENS = 3
_DISPUTE_SECONDS = 60


@pytest.fixture
def tracer() -> StandInTracer:
    return StandInTracer()


async def traced(line: Line, tracer: Tracer, *, checkpoints: int = 1) -> int:
    """A session whose checkpoints are confirmed, with traces."""
    async with line.settling(), line.proving(tracer=tracer):
        session_id = await line.open()
        await line.record(session_id, checkpoints)
        for number in range(checkpoints):
            await line.until_state(checkpoint_job(session_id, number), CONFIRMED)
    return session_id


async def root_of(line: Line, session_id: int, number: int = 0) -> TraceRoot:
    artefact = await line.jobs.artefact(checkpoint_job(session_id, number))
    assert artefact is not None
    assert artefact.trace_root is not None
    return artefact.trace_root


async def entry_of(line: Line, session_id: int, number: int = 0) -> IndexEntry:
    """Of the newest index that was published."""
    told = await line.jobs.submission(sample_job(session_id, number))
    assert told.index_cid is not None
    return indexes.decode(await line.stored(told.index_cid)).index.entries[number]


async def test_a_confirmed_checkpoint_gets_a_sample_proof(line: Line) -> None:
    prover = StandInProver()
    async with await Tracer.open(None, threads=2) as tracer:
        line.weights_root = tracer.weights_root
        session_id = await traced(line, tracer)
        await line.mine(ENOUGH_BLOCKS)
        async with line.settling(), line.sampling(tracer, prover):
            await line.until_state(sample_job(session_id, 0), CONFIRMED)
    async with StarkProver(find_prover()) as guest:
        await execute_sample(guest, prover.samplings[0], prover.witnesses[0])
    entry = await entry_of(line, session_id)
    assert entry.sample is not None
    data = await line.stored(entry.sample.cid)
    assert ProofHash.of(data) == entry.sample.proof_hash
    bundle = Bundle.decode(data)
    claim = SampleClaim.decode(bundle.journal)
    checkpoint = SessionClaim.decode(Bundle.decode(await line.stored(entry.proof_cid)).journal)
    submitted = await line.jobs.submission(checkpoint_job(session_id, 0))
    assert submitted.block_number is not None
    block = await line.chain.block(beacon_block(submitted.block_number))
    assert block is not None
    assert (bundle.claim_kind, bundle.assurance) == ("sample", "sampled")
    assert claim.trace_root == checkpoint.trace_root == await root_of(line, session_id)
    assert claim.state_after == checkpoint.state_after
    assert claim.header_digest == checkpoint.header_digest
    assert (claim.beacon_number, claim.beacon) == (block.number, Beacon.from_hex(block.hash))
    assert claim.covered == Span(0, PROMPT_TOKENS + TOKENS)
    assert {one.kind for one in claim.cells} == set(COVERED_KINDS)
    assert (claim.first_entry, claim.tokens_before) == (0, 0)


async def test_a_later_context_is_sampled_from_its_own_beginning(
    line: Line, tracer: StandInTracer
) -> None:
    """The second question begins anew, the third goes on with it."""
    prover = StandInProver()
    async with line.settling(), line.proving(tracer=tracer):
        session_id = await line.open()
        await line.record(session_id, 2)
        await line.record(session_id, continues=True)
        for number in range(3):
            await line.until_state(checkpoint_job(session_id, number), CONFIRMED)
    await line.mine(ENOUGH_BLOCKS)
    async with line.settling(), line.sampling(tracer, prover):
        for number in range(3):
            await line.until_state(sample_job(session_id, number), CONFIRMED)
    claims = sorted(
        (sampling.claim() for sampling in prover.samplings), key=lambda claim: claim.tokens_after
    )
    assert [(one.first_entry, one.tokens_before) for one in claims] == [
        (0, 0),
        (2, TOKENS),
        (2, TOKENS),
    ]
    once = PROMPT_TOKENS + TOKENS
    assert [one.layout.positions for one in claims] == [once, once, 2 * once]
    index = (await entry_of(line, session_id, 2)).sample
    assert index is not None


async def test_a_beacon_that_is_not_final_is_waited_for(line: Line, tracer: StandInTracer) -> None:
    session_id = await traced(line, tracer)
    job_id = sample_job(session_id, 0)
    async with line.settling(), line.sampling(tracer, StandInProver()):
        waiting = await line.until_problem(job_id, "PIP-011")
        assert (waiting.starts, waiting.failures) == (0, 0)
        await line.mine(ENOUGH_BLOCKS)
        await line.pass_time(60)
        await line.until_state(job_id, CONFIRMED)


async def test_a_chain_that_cannot_be_asked_costs_no_start(
    relayed: Line, relay: FaultyNode, tracer: StandInTracer
) -> None:
    line = relayed
    session_id = await traced(line, tracer)
    await line.mine(ENOUGH_BLOCKS)
    job_id = sample_job(session_id, 0)
    relay.fault = text("", status=503)
    async with line.sampling(tracer, StandInProver()):

        async def has_tried_more_often_than_it_may_begin() -> bool:
            return len(await line.jobs.attempts(job_id)) > line.rules.most_starts

        await line.until(has_tried_more_often_than_it_may_begin)
        waiting = await line.until_problem(job_id, "CHN-101")
        assert waiting.state is not FAILED
        relay.fault = None
        async with line.settling():
            done = await line.until_state(job_id, CONFIRMED, FAILED)
    assert (done.state, done.starts) == (CONFIRMED, 1)


async def test_what_the_beacon_does_not_draw_is_not_proven(
    line: Line, tracer: StandInTracer
) -> None:
    prover = StandInProver()
    session_id = await traced(line, tracer)
    await line.mine(ENOUGH_BLOCKS)
    rules = changed(sample_one_in=2**32 - 1)
    async with line.settling(), line.sampling(tracer, prover, rules=rules):
        await line.until_state(sample_job(session_id, 0), CONFIRMED)
    told = await line.jobs.submission(sample_job(session_id, 0))
    assert (told.outcome, told.proof_cid) == (NOT_DRAWN, None)
    assert prover.samplings == []


async def test_a_beacon_that_became_another_block_is_asked_again(
    line: Line, tracer: StandInTracer
) -> None:
    """The chain was reorganised after the proof was begun."""

    class Outdated(StandInProver):
        async def prove_sample(self, sampling: Sampling, *args: bytes, **more: object):  # type: ignore[no-untyped-def]
            if not self.samplings:
                sampling = replace(sampling, beacon=Beacon(b"\x66" * 32))
            return await super().prove_sample(sampling, *args, **more)  # type: ignore[arg-type]

    prover = Outdated()
    session_id = await traced(line, tracer)
    await line.mine(ENOUGH_BLOCKS)
    async with line.settling(), line.sampling(tracer, prover):
        await line.until_state(sample_job(session_id, 0), CONFIRMED)
    assert len(prover.samplings) == 2
    sample = (await entry_of(line, session_id)).sample
    assert sample is not None
    claim = SampleClaim.decode(Bundle.decode(await line.stored(sample.cid)).journal)
    assert claim.beacon == prover.samplings[1].beacon


async def test_cells_of_another_trace_are_not_published(line: Line, tracer: StandInTracer) -> None:
    class OfAnotherTrace(StandInProver):
        async def prove_sample(self, sampling: Sampling, *args: bytes, **more: object):  # type: ignore[no-untyped-def]
            foreign = replace(sampling, trace_root=TraceRoot(b"\x77" * 32))
            return await super().prove_sample(foreign, *args, **more)  # type: ignore[arg-type]

    session_id = await traced(line, tracer)
    await line.mine(ENOUGH_BLOCKS)
    async with line.settling(), line.sampling(tracer, OfAnotherTrace()):
        job = await line.until_state(sample_job(session_id, 0), FAILED)
    assert job.problem is not None
    assert job.problem.code == "PIP-012"


async def test_without_the_sessions_model_a_checkpoint_is_proven_without_a_trace(
    line: Line, tracer: StandInTracer
) -> None:
    tracer.weights_root = WeightsRoot(b"\x56" * 32)
    async with line.settling(), line.proving(tracer=tracer):
        session_id = await line.open()
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), CONFIRMED)
    artefact = await line.jobs.artefact(checkpoint_job(session_id, 0))
    assert artefact is not None
    assert artefact.trace_problem is not None
    assert (artefact.trace_root, artefact.trace_problem.code) == (None, "PIP-008")
    assert await line.jobs.find(sample_job(session_id, 0)) is None


async def test_payment_does_not_wait_for_a_trace(line: Line, tracer: StandInTracer) -> None:
    tracer.expected = 1e9
    async with line.settling(), line.proving(tracer=tracer):
        session_id = await line.open()
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), CONFIRMED)
    artefact = await line.jobs.artefact(checkpoint_job(session_id, 0))
    assert artefact is not None
    assert artefact.trace_problem is not None
    assert artefact.trace_problem.code == "PIP-009"


async def test_a_trace_that_takes_longer_than_was_thought_is_stopped_in_time(
    line: Line,
) -> None:
    """It was thought to take no time at all, and would take an hour."""
    async with line.settling():
        session_id = await line.open()
        await line.record(session_id)
        job_id = checkpoint_job(session_id, 0)
        left = (await line.jobs.job(job_id)).due_at - line.clock_ms() / 1000
        rules = changed(after_proof_seconds=left - 3, lease_seconds=60)
        async with line.proving(tracer=StandInTracer(seconds=3600), rules=rules):
            await line.until_state(job_id, CONFIRMED)
    artefact = await line.jobs.artefact(job_id)
    assert artefact is not None
    assert artefact.trace_problem is not None
    assert artefact.trace_problem.code == "PIP-009"
    assert artefact.trace_problem.message.count("stopped then") == 1


async def test_a_trace_that_ends_its_worker_does_not_cost_the_payment(
    line: Line, tracer: StandInTracer
) -> None:
    session_id = await line.open()
    await line.record(session_id)
    job_id = checkpoint_job(session_id, 0)
    worker = Worker("dies", "cpu", has_cpu=True)
    for _ in range(2):  # as if llama.cpp had ended the process
        lease = await line.jobs.claim_proof(JobQueue.LIVE, worker, lease_ms=1, most_starts=5)
        assert lease is not None
        await asyncio.sleep(0.01)
    async with line.settling(), line.proving(tracer=tracer):
        await line.until_state(job_id, CONFIRMED)
    artefact = await line.jobs.artefact(job_id)
    assert artefact is not None
    assert artefact.trace_problem is not None
    assert (artefact.trace_root, artefact.trace_problem.code) == (None, "PIP-013")


async def test_a_worker_that_is_stopped_gives_the_sample_back(
    line: Line, tracer: StandInTracer
) -> None:
    session_id = await traced(line, tracer)
    await line.mine(ENOUGH_BLOCKS)
    job_id = sample_job(session_id, 0)
    async with line.sampling(tracer, StandInProver(seconds=60)):
        await line.until_state(job_id, JobState.PROVING)
        await asyncio.sleep(0.1)
    job = await line.jobs.job(job_id)
    assert (job.state, job.starts, job.owner) == (JobState.RECORDED, 0, None)
    async with line.settling(), line.sampling(tracer, StandInProver()):
        await line.until_state(job_id, CONFIRMED)


async def test_settlement_does_not_wait_for_samples_and_names_those_that_are_there(
    line: Line, tracer: StandInTracer
) -> None:
    session_id = await traced(line, tracer, checkpoints=2)
    await line.mine(ENOUGH_BLOCKS)
    async with line.settling(), line.sampling(tracer, StandInProver()):
        await line.until_state(sample_job(session_id, 0), CONFIRMED)
        await line.until_state(sample_job(session_id, 1), CONFIRMED)
    async with line.settling():
        await line.end(session_id)
        await line.until_over(session_id)
    session = await line.on_chain(session_id)
    index = indexes.decode(await line.stored(session.conversation_cid)).index
    assert all(entry.sample is not None for entry in index.entries)


async def test_a_sample_that_is_published_while_a_settlement_is_under_way_does_not_hinder_it(
    relayed: Line, relay: FaultyNode, tracer: StandInTracer
) -> None:
    """The index that the transaction names is then no longer the newest."""
    line = relayed
    session_id = await traced(line, tracer)
    await line.mine(ENOUGH_BLOCKS)
    await line.pass_time(_DISPUTE_SECONDS)
    line.rules = changed(confirm_seconds=0.2)
    settlement, sample = settlement_job(session_id), sample_job(session_id, 0)
    relay.fault = for_method("eth_sendRawTransaction", reply(result="0x" + "11" * 32))  # kept back
    async with line.settling(), line.sampling(tracer, StandInProver()):
        await line.end(session_id)
        await line.until_state(settlement, JobState.SUBMITTED)
        await line.until_state(sample, CONFIRMED)
        assert (await line.jobs.job(settlement)).state is JobState.SUBMITTED
    relay.fault = None
    async with line.settling():
        done = await line.until_state(settlement, CONFIRMED, FAILED)
    assert done.state is CONFIRMED
    session = await line.on_chain(session_id)
    named = indexes.decode(await line.stored(session.conversation_cid)).index
    assert (len(named.entries), named.entries[0].sample) == (1, None)
    assert (await entry_of(line, session_id)).sample is not None


async def test_a_session_is_kept_until_its_samples_are_made(
    line: Line, tracer: StandInTracer
) -> None:
    session_id = await traced(line, tracer)
    async with line.settling():
        await line.end(session_id)
        await line.pass_time(_DISPUTE_SECONDS)
        await line.until_state(settlement_job(session_id), CONFIRMED)
        await line.pass_time(10)
    assert await line.ledger.erase_settled(line.clock_ms()) == 0
    await line.mine(ENOUGH_BLOCKS)
    async with line.settling(), line.sampling(tracer, StandInProver()):
        await line.until_state(sample_job(session_id, 0), CONFIRMED)
    assert await line.ledger.erase_settled(line.clock_ms()) == 1


async def test_a_submission_that_moved_to_another_block_has_another_beacon(
    line: Line, tracer: StandInTracer
) -> None:
    """A reorg, deeper than the confirmations that were waited for."""
    session_id = await traced(line, tracer)
    submitted = await line.jobs.submission(checkpoint_job(session_id, 0))
    assert submitted.block_number is not None
    raw = await line.chain.command("eth_getRawTransactionByHash", submitted.transaction_hash)
    await line.mine(3)
    depth = (await line.chain.head()).number - submitted.block_number + 1
    await line.chain.command("anvil_reorg", depth, [[raw, 2]])
    receipt = await line.chain.receipt(str(submitted.transaction_hash))
    assert receipt is not None
    assert (receipt.succeeded, receipt.block_number) == (True, submitted.block_number + 2)
    await line.mine(ENOUGH_BLOCKS)
    async with line.settling(only={Actor.PUBLISH_SAMPLE}), line.sampling(tracer, StandInProver()):
        await line.until_state(sample_job(session_id, 0), CONFIRMED)
    sample = (await entry_of(line, session_id)).sample
    assert sample is not None
    claim = SampleClaim.decode(Bundle.decode(await line.stored(sample.cid)).journal)
    assert claim.beacon_number == beacon_block(receipt.block_number)
