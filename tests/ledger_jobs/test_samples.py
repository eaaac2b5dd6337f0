"""Jobs of sampled cells: where they come from, who is given them, and what does not wait for
them."""

from __future__ import annotations

import dataclasses

import pytest

from platformless.protocol.digests import TraceRoot
from platformless.prover.ledger.job_states import JobKind, JobState
from platformless.prover.ledger.job_values import Submission

from .builder import (
    ARTEFACT,
    AUDIT,
    BOTH,
    CONFIRMED,
    DUE,
    FAILED,
    LEASE_MS,
    LIVE,
    MOST_STARTS,
    PROBLEM,
    PROVEN,
    PUBLISHED,
    RECORDED,
    SECOND_MS,
    SUBMITTED,
    TRACED,
    Store,
    on_both_databases,
    times,
)

DAY_SECONDS = 86_400
SAMPLE = "7-0-sample"


@on_both_databases
async def test_a_checkpoint_that_is_confirmed_with_a_trace_gets_one_sample(store: Store) -> None:
    await store.sampled(checkpoints=2)
    checkpoint, other, *samples = await store.jobs.of_sessions([7])
    assert [job.id for job in samples] == [SAMPLE, "7-1-sample"]
    for number, (job, of) in enumerate(zip(samples, (checkpoint, other), strict=True)):
        assert (job.kind, job.queue, job.state) == (JobKind.SAMPLE, AUDIT, RECORDED)
        assert (job.session_id, job.number, job.tokens) == (7, number, of.tokens)
        assert (job.created_ms, job.fence, times(job)) == (store.clock(), 0, (0, 0))
        assert job.due_at == store.clock() // 1000 + DAY_SECONDS


async def test_without_a_trace_there_is_no_sample(store: Store) -> None:
    why = dataclasses.replace(ARTEFACT, trace_problem=PROBLEM)
    for session_id, artefact in ((7, ARTEFACT), (8, why)):
        await store.session(session_id)
        await store.prove_all(artefact)
        await store.confirm(f"{session_id}-0")
        assert len(await store.jobs.of_sessions([session_id])) == 1


async def test_there_is_no_sample_before_the_proof_is_confirmed(store: Store) -> None:
    await store.session()
    await store.prove_all(TRACED)
    for state, new in ((PROVEN, PUBLISHED), (PUBLISHED, SUBMITTED), (SUBMITTED, CONFIRMED)):
        assert await store.jobs.find(SAMPLE) is None
        await store.jobs.finish(await store.stepped("7-0", state), new)
    assert await store.jobs.find(SAMPLE) is not None


async def test_a_checkpoint_that_is_confirmed_twice_has_one_sample_as_it_was(store: Store) -> None:
    await store.sampled()
    await store.jobs.fail(await store.claimed(queue=AUDIT), PROBLEM)
    rows = store.rows(SAMPLE)
    await store.place("7-0", SUBMITTED)
    store.clock.go(SECOND_MS)
    await store.jobs.finish(await store.stepped("7-0", SUBMITTED), CONFIRMED)
    assert store.rows(SAMPLE) == rows
    assert len(await store.jobs.of_sessions([7])) == 2


async def test_a_proof_that_was_taken_over_counts_as_it_was_published(store: Store) -> None:
    """Another machine proved it: with a trace, or without."""
    await store.session(7, 2)
    for number, (proven, published) in enumerate(((ARTEFACT, TRACED), (TRACED, ARTEFACT))):
        await store.jobs.finish(await store.claimed(), PROVEN, artefact=proven)
        lease = await store.stepped(f"7-{number}", PROVEN)
        await store.jobs.finish(lease, PUBLISHED, artefact=published)
        await store.confirm(f"7-{number}")
    assert await store.jobs.find(SAMPLE) is not None
    assert await store.jobs.find("7-1-sample") is None


@on_both_databases
async def test_what_a_trace_came_to_is_kept(store: Store) -> None:
    untraced = dataclasses.replace(ARTEFACT, trace_problem=PROBLEM)
    for session_id, artefact in enumerate((ARTEFACT, TRACED, untraced)):
        await store.session(session_id)
        await store.jobs.finish(await store.claimed(), PROVEN, artefact=artefact)
        assert await store.jobs.artefact(f"{session_id}-0") == artefact


@on_both_databases
async def test_payment_and_samples_have_workers_of_their_own(store: Store) -> None:
    await store.sampled()
    await store.session(8)
    assert await store.jobs.ready_proofs(LIVE, 9) == ["8-0"]
    assert await store.jobs.ready_proofs(AUDIT, 9) == [SAMPLE]
    live, sample = await store.claimed(), await store.claimed(BOTH, AUDIT)
    assert (live.job.id, sample.job.id, sample.job.device) == ("8-0", SAMPLE, "cuda")
    assert await store.claim() is await store.claim(queue=AUDIT) is None


async def test_the_sample_that_has_waited_longest_is_the_next(store: Store) -> None:
    for session_id in (9, 7, 8):
        await store.sampled(session_id)
        store.clock.go(SECOND_MS)
    expected = ["9-0-sample", "7-0-sample", "8-0-sample"]
    assert await store.jobs.ready_proofs(AUDIT, 9) == expected
    assert (await store.claimed(queue=AUDIT)).job.id == expected[0]
    store.clock.go(LEASE_MS)
    assert (await store.claimed(queue=AUDIT)).job.id == expected[0]  # its worker was lost
    assert (await store.claimed(queue=AUDIT)).job.id == expected[1]


async def test_samples_do_not_wait_for_each_other(store: Store) -> None:
    await store.sampled(checkpoints=2)
    await store.place("7-1-sample", PROVEN)
    assert await store.jobs.ready_steps(9) == [("7-1-sample", PROVEN)]
    await store.jobs.finish(await store.stepped("7-1-sample", PROVEN), CONFIRMED)
    assert await store.state(SAMPLE) is RECORDED


@pytest.mark.parametrize("state", list(JobState))
async def test_a_settlement_does_not_wait_for_samples(store: Store, state: JobState) -> None:
    await store.sampled(ended=True)
    await store.place(SAMPLE, state)
    assert ("7-settlement", RECORDED) in await store.jobs.ready_steps(9)


@on_both_databases
async def test_waiting_for_the_beacon_is_no_start_and_no_failure(store: Store) -> None:
    await store.sampled()
    for _ in range(3 * MOST_STARTS):
        lease = await store.claimed(queue=AUDIT)
        await store.jobs.retry_later(lease, PROBLEM, SECOND_MS, is_foreseen=True)
        assert await store.claim(queue=AUDIT) is None
        store.clock.go(SECOND_MS)
    job = await store.jobs.job(SAMPLE)
    assert (job.state, times(job), job.problem) == (RECORDED, (0, 0), PROBLEM)
    assert (await store.claimed(queue=AUDIT)).job.starts == 1


async def test_a_step_that_has_to_wait_keeps_its_state(store: Store) -> None:
    """As when a settlement waits for the dispute window."""
    await store.session(checkpoints=0, ended=True)
    lease = await store.stepped("7-settlement", RECORDED)
    await store.jobs.retry_later(lease, PROBLEM, SECOND_MS, is_foreseen=True)
    job = await store.jobs.job("7-settlement")
    assert (job.state, times(job)) == (RECORDED, (0, 0))


async def test_a_sample_that_is_begun_too_often_is_given_up_and_can_be_retried(
    store: Store,
) -> None:
    await store.sampled()
    for _ in range(MOST_STARTS):
        await store.jobs.retry_later(await store.claimed(queue=AUDIT), PROBLEM, 0)
    assert await store.claim(queue=AUDIT) is None
    assert await store.state(SAMPLE) is FAILED
    job = await store.jobs.retry(SAMPLE)
    assert (job.state, times(job)) == (RECORDED, (0, 0))
    assert (await store.claimed(queue=AUDIT)).job.id == SAMPLE


async def test_what_the_beacon_does_not_draw_is_over_at_once(store: Store) -> None:
    await store.sampled()
    told = Submission(outcome="not drawn", confirmed_ms=store.clock())
    await store.jobs.finish(await store.claimed(queue=AUDIT), CONFIRMED, submission=told)
    assert await store.jobs.submission(SAMPLE) == told
    assert await store.jobs.artefact(SAMPLE) is None


async def test_a_sample_of_a_block_that_is_gone_is_proven_again(store: Store) -> None:
    await store.sampled()
    for size in (5, 6):
        artefact = dataclasses.replace(ARTEFACT, size_bytes=size)
        await store.jobs.finish(await store.claimed(queue=AUDIT), PROVEN, artefact=artefact)
        assert await store.jobs.artefact(SAMPLE) == artefact
        if size == 5:
            await store.jobs.finish(await store.stepped(SAMPLE, PROVEN), RECORDED)
    await store.jobs.finish(await store.stepped(SAMPLE, PROVEN), CONFIRMED)
    kept = await store.jobs.artefact(SAMPLE)
    assert kept == dataclasses.replace(ARTEFACT, size_bytes=6, bundle=None)
    assert await store.jobs.find("7-0-sample-sample") is None


async def test_the_chains_deadline_is_not_a_samples(store: Store) -> None:
    await store.sampled(checkpoints=2, ended=True)
    await store.place("7-1", SUBMITTED)
    before = (await store.jobs.job(SAMPLE)).due_at
    await store.jobs.set_due(7, DUE + 9)
    due = {job.id: job.due_at for job in await store.jobs.of_sessions([7])}
    assert due["7-1"] == due["7-settlement"] == DUE + 9
    assert due[SAMPLE] == due["7-1-sample"] == before


@on_both_databases
async def test_samples_are_counted_and_payment_alone_has_an_age(store: Store) -> None:
    await store.sampled()
    store.clock.go(SECOND_MS)
    counts = await store.jobs.counts()
    assert counts.by_state == {(JobKind.CHECKPOINT, CONFIRMED): 1, (JobKind.SAMPLE, RECORDED): 1}
    assert counts.oldest_open_ms is None
    await store.session(8)
    assert (await store.jobs.counts()).oldest_open_ms == store.clock()


async def test_a_trace_of_another_build_replaces_the_former(store: Store) -> None:
    await store.session()
    other = dataclasses.replace(TRACED, trace_root=TraceRoot(b"\x0b" * 32))
    for artefact in (TRACED, other):
        await store.place("7-0", RECORDED)
        await store.jobs.finish(await store.claimed(), PROVEN, artefact=artefact)
    assert await store.jobs.artefact("7-0") == other
