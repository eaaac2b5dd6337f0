"""What people and the reconciler do to jobs: retry, give up, change when they are due, read."""

from __future__ import annotations

import dataclasses

import pytest

from platformless.prover.ledger.errors import JobUnknown, LedgerConflict, TransitionRefused
from platformless.prover.ledger.job_states import JobKind, JobState
from platformless.prover.ledger.job_values import Submission
from platformless.prover.ledger.values import Changes
from tests.samples import FIRST

from .builder import (
    ARTEFACT,
    BOTH,
    CONFIRMED,
    DUE,
    FAILED,
    LEASE_MS,
    PROBLEM,
    PROVEN,
    PROVING,
    PUBLISHED,
    RECORDED,
    STARTED,
    SUBMITTED,
    Store,
    cut,
    on_both_databases,
    times,
)
from .test_leases import require_lost

ALL_STATES = list(JobState)


async def test_a_checkpoint_comes_with_its_job(store: Store) -> None:
    await store.session(checkpoints=2, due_at=DUE)
    first, second = await store.jobs.of_sessions([7])
    assert (first.id, first.number, second.id, second.number) == ("7-0", 0, "7-1", 1)
    written = await store.ledger.checkpoint(7, 1)
    assert second.tokens == written.tokens_after - written.tokens_before
    for job in (first, second):
        assert (job.kind, job.state, job.due_at) == (JobKind.CHECKPOINT, RECORDED, DUE)
        assert (job.session_id, job.created_ms, job.fence) == (7, store.clock(), 0)


async def test_a_checkpoint_that_is_refused_leaves_no_job(store: Store) -> None:
    await store.session(checkpoints=1)
    for number in (0, 2):
        wrong = dataclasses.replace(cut(FIRST), number=number)
        with pytest.raises(LedgerConflict):
            await store.ledger.append(7, Changes(checkpoint=wrong, ended=True))
    assert [job.id for job in await store.jobs.of_sessions([7])] == ["7-0"]


@on_both_databases
async def test_a_session_that_ends_is_settled_once(store: Store) -> None:
    await store.session(checkpoints=1, ended=True, due_at=DUE)
    await store.ledger.append(7, Changes(ended=True, due_at=DUE + 1))
    assert not await store.jobs.add_settlement(7, DUE + 2)
    job = await store.jobs.job("7-settlement")
    assert (job.kind, job.state, job.due_at) == (JobKind.SETTLEMENT, RECORDED, DUE)
    assert len(await store.jobs.of_sessions([7])) == 2


async def test_a_session_that_was_never_written_can_be_settled(store: Store) -> None:
    assert await store.jobs.add_settlement(9, DUE)
    assert [job.id for job in await store.jobs.of_sessions([9])] == ["9-settlement"]


@pytest.mark.parametrize("failed_from", [RECORDED, PROVING, PROVEN, PUBLISHED, SUBMITTED])
async def test_a_failed_job_begins_again_where_it_failed(
    store: Store, failed_from: JobState
) -> None:
    await store.session()
    await store.place(
        "7-0",
        failed_from,
        owner="w",
        fence=4,
        starts=3,
        failures=2,
        not_before_ms=store.clock() + 1000,
        cpu_next=True,
        late_for="cpu",
        cycles_done=1,
        cycles_total=2,
    )
    await store.jobs.fail_unheld("7-0", PROBLEM)
    failed = await store.jobs.job("7-0")
    assert (failed.state, failed.failed_from, failed.problem) == (FAILED, failed_from, PROBLEM)
    job = await store.jobs.retry("7-0")
    assert job == await store.jobs.job("7-0")
    assert job.state is (RECORDED if failed_from is PROVING else failed_from)
    assert (times(job), job.problem, job.failed_from) == ((0, 0), None, None)
    assert (job.owner, job.cpu_next, job.late_for, job.fence) == (None, False, None, 5)
    assert (job.progress.cycles_total == 0) == (job.state is RECORDED)
    if job.state is RECORDED:
        await store.claimed()
    else:
        await store.stepped("7-0", failed_from)


@pytest.mark.parametrize("state", [state for state in JobState if state is not FAILED])
async def test_only_what_failed_is_tried_again(store: Store, state: JobState) -> None:
    await store.session()
    await store.place("7-0", state)
    rows = store.rows("7-0")
    with pytest.raises(TransitionRefused, match="has not failed"):
        await store.jobs.retry("7-0")
    assert store.rows("7-0") == rows


async def test_a_job_that_does_not_exist_is_told(store: Store) -> None:
    for asked in (
        store.jobs.retry("7-0"),
        store.jobs.job("7-0"),
        store.jobs.fail_unheld("7-0", PROBLEM),
    ):
        with pytest.raises(JobUnknown):
            await asked
    assert await store.jobs.find("7-0") is None
    assert await store.step("7-0", *ALL_STATES) is None


async def test_a_job_that_is_given_up_is_taken_from_its_holder(store: Store) -> None:
    await store.session()
    lease = await store.claimed(BOTH)
    await store.jobs.fail_unheld("7-0", PROBLEM)
    await require_lost(store, lease)
    assert [a.outcome for a in await store.jobs.attempts("7-0")] == ["failed"]
    await store.jobs.retry("7-0")
    await require_lost(store, lease)
    assert (await store.claimed()).fence == 3


@pytest.mark.parametrize("state", [CONFIRMED, FAILED])
async def test_a_job_that_is_over_is_not_given_up(store: Store, state: JobState) -> None:
    await store.session()
    await store.place("7-0", state)
    rows = store.rows("7-0")
    await store.jobs.fail_unheld("7-0", PROBLEM)
    assert store.rows("7-0") == rows


async def test_open_jobs_of_a_session_alone_are_due_at_another_time(store: Store) -> None:
    await store.session(7, checkpoints=len(ALL_STATES), ended=True)
    await store.session(8)
    for number, state in enumerate(ALL_STATES):
        await store.place(f"7-{number}", state, owner="w", fence=3)
    await store.jobs.set_due(7, DUE + 9)
    due = [job.due_at - DUE for job in await store.jobs.of_sessions([7])]
    assert due == [0 if state in (CONFIRMED, FAILED) else 9 for state in ALL_STATES] + [9]
    assert (await store.jobs.job("8-0")).due_at == DUE


async def test_a_bundle_is_kept_until_its_job_is_confirmed(store: Store) -> None:
    await store.session()
    await store.prove_all()
    assert await store.jobs.artefact("7-0") == ARTEFACT
    await store.jobs.finish(await store.stepped("7-0", PROVEN), PUBLISHED)
    assert await store.jobs.artefact("7-0") == ARTEFACT
    await store.jobs.finish(await store.stepped("7-0", PUBLISHED), CONFIRMED)
    assert await store.jobs.artefact("7-0") == dataclasses.replace(ARTEFACT, bundle=None)


@on_both_databases
async def test_a_proof_that_is_built_again_replaces_the_former(store: Store) -> None:
    await store.session()
    for size in (5, 6):
        await store.place("7-0", RECORDED)
        artefact = dataclasses.replace(ARTEFACT, size_bytes=size)
        await store.jobs.finish(await store.claimed(), PROVEN, artefact=artefact)
        assert await store.jobs.artefact("7-0") == artefact


@on_both_databases
async def test_what_is_known_of_a_submission_is_never_forgotten(store: Store) -> None:
    await store.session(ended=True)
    assert await store.jobs.submission("7-settlement") == Submission()
    lease = await store.stepped("7-settlement", RECORDED)
    first = Submission(transaction_hash="0x1", outcome="timed out")
    await store.jobs.move(lease, SUBMITTED, first)
    await store.jobs.finish(lease, CONFIRMED, submission=Submission())
    assert await store.jobs.submission("7-settlement") == first
    await store.place("7-settlement", SUBMITTED)
    lease = await store.stepped("7-settlement", SUBMITTED)
    more = Submission(block_number=5, fee_wei="9" * 30, outcome="settled")
    await store.jobs.finish(lease, CONFIRMED, submission=more)
    expected = dataclasses.replace(more, transaction_hash="0x1")
    assert await store.jobs.submission("7-settlement") == expected


@on_both_databases
async def test_jobs_are_counted_and_the_oldest_open_one_is_known(store: Store) -> None:
    assert (await store.jobs.counts()).oldest_open_ms is None
    for session_id in range(3):
        await store.session(session_id, ended=session_id == 0)
        store.clock.go(1000)
    await store.place("0-0", CONFIRMED)
    await store.place("0-settlement", CONFIRMED)
    counts = await store.jobs.counts()
    assert counts.by_state == {
        (JobKind.CHECKPOINT, CONFIRMED): 1,
        (JobKind.CHECKPOINT, RECORDED): 2,
        (JobKind.SETTLEMENT, CONFIRMED): 1,
    }
    assert counts.oldest_open_ms == store.clock() - 2000
    assert await store.jobs.open_sessions() == [1, 2]
    assert len(await store.jobs.open_sessions(1)) == 1


async def test_the_newest_jobs_are_told_first(store: Store) -> None:
    for session_id in range(3):
        await store.session(session_id)
        store.clock.go(1000)
    await store.place("1-0", FAILED)
    assert [job.id for job in await store.jobs.newest(2)] == ["2-0", "1-0"]
    assert [job.id for job in await store.jobs.newest(9, [FAILED])] == ["1-0"]
    assert await store.jobs.newest(9, []) == []
    assert await store.jobs.of_sessions([]) == []


@on_both_databases
async def test_a_session_that_only_waits_for_samples_is_not_looked_at(store: Store) -> None:
    await store.sampled(ended=True)
    assert await store.jobs.open_sessions() == [7]
    await store.confirm("7-settlement")
    assert await store.state("7-0-sample") is RECORDED
    assert await store.jobs.open_sessions() == []


@on_both_databases
async def test_a_session_with_a_number_of_any_size_has_jobs(store: Store) -> None:
    huge = 2**256 - 1
    await store.session(huge, checkpoints=2, ended=True)
    assert [job.session_id for job in await store.jobs.of_sessions([huge])] == [huge] * 3
    await store.jobs.set_due(huge, DUE + 1)
    assert (await store.claimed()).job.due_at == DUE + 1
    assert await store.jobs.open_sessions() == [huge]


async def test_a_ledger_that_is_opened_again_has_the_same_leases(store: Store) -> None:
    await store.session()
    lease = await store.claimed()
    again = await Store.open(store.settings)
    again.clock.go(LEASE_MS - 1)
    assert await again.claim() is None
    await again.jobs.renew(lease, LEASE_MS)
    await again.close()


async def test_chains_in_one_database_have_jobs_of_their_own(store: Store) -> None:
    other = await Store.open(store.elsewhere())
    await store.session()
    await other.session(ended=True)
    lease = await other.claimed()
    assert (await store.claimed()).fence == 1
    await store.jobs.fail_unheld("7-0", PROBLEM)
    await store.jobs.set_due(7, DUE + 5)
    await other.jobs.renew(lease, LEASE_MS)
    assert (await other.jobs.job("7-0")).due_at == DUE
    assert await store.jobs.find("7-settlement") is None
    await other.close()


async def test_a_session_that_starts_again_meets_its_old_jobs(store: Store) -> None:
    await store.session(ended=True)
    await store.settle(7)
    store.clock.go(1000)
    assert await store.ledger.erase_settled(store.clock()) == 1
    await store.ledger.append(7, STARTED)
    with pytest.raises(LedgerConflict):
        await store.ledger.append(7, Changes(checkpoint=cut(FIRST)))
