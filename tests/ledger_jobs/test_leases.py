"""Leases: held by one worker, ended by time, worthless once there is a newer one."""

from __future__ import annotations

import asyncio

import pytest

from platformless.prover.ledger.errors import LeaseLost
from platformless.prover.ledger.job_claiming import LAST_CHOICE_MS
from platformless.prover.ledger.job_reading import LONGEST_LEASE_MS, LONGEST_REST_MS

from .builder import (
    ARTEFACT,
    BOTH,
    CONFIRMED,
    CPU,
    DAY_MS,
    GPU,
    HALF_DONE,
    LEASE_MS,
    LIVE,
    PROBLEM,
    PROVEN,
    PROVING,
    PUBLISHED,
    RECORDED,
    SECOND_MS,
    SUBMITTED,
    Store,
    try_all,
)


async def require_lost(store: Store, lease: object) -> None:
    rows = store.rows("7-0")
    for error in await try_all(store, lease):  # type: ignore[arg-type]
        assert isinstance(error, LeaseLost)
    assert store.rows("7-0") == rows


async def test_a_leased_job_is_nobody_elses(store: Store) -> None:
    await store.session()
    lease = await store.claimed(CPU)
    assert (lease.owner, lease.fence) == (CPU.owner, 1)
    assert lease.until_ms == store.clock() + LEASE_MS == lease.job.lease_until_ms
    store.clock.go(LEASE_MS - 1)
    assert await store.claim(BOTH) is None
    assert await store.jobs.ready_proofs(LIVE, 9) == []
    await store.jobs.renew(lease, LEASE_MS)
    store.clock.go(LEASE_MS - 1)
    assert await store.claim(BOTH) is None


async def test_a_lease_that_was_superseded_changes_nothing(store: Store) -> None:
    await store.session()
    lost = await store.claimed(CPU)
    store.clock.go(LEASE_MS)
    await store.claimed(CPU)
    await require_lost(store, lost)


async def test_a_lease_is_lost_also_to_a_worker_that_only_noticed(store: Store) -> None:
    await store.session()
    lost = await store.claimed(GPU)
    store.clock.go(LEASE_MS)
    assert await store.claim(GPU) is None  # a CPU is to try
    await require_lost(store, lost)


async def test_a_lease_that_ended_is_good_until_somebody_takes_the_job(store: Store) -> None:
    await store.session()
    lease = await store.claimed()
    store.clock.go(10 * LEASE_MS)
    await store.jobs.renew(lease, LEASE_MS, HALF_DONE)
    assert await store.claim() is None
    await store.jobs.finish(lease, PROVEN, artefact=ARTEFACT)


async def test_a_lease_that_was_given_back_changes_nothing(store: Store) -> None:
    await store.session()
    lease = await store.claimed()
    await store.jobs.release(lease)
    await require_lost(store, lease)
    refused = await store.claimed()
    await store.jobs.refuse(refused, "cpu", PROBLEM)
    await require_lost(store, refused)
    store.clock.go(LAST_CHOICE_MS)
    tried = await store.claimed()
    await store.jobs.retry_later(tried, PROBLEM, 0)
    await require_lost(store, tried)
    store.clock.go(LAST_CHOICE_MS)
    done = await store.claimed()
    await store.jobs.finish(done, PROVEN, artefact=ARTEFACT)
    await require_lost(store, done)


async def test_a_released_job_is_as_if_it_had_not_been_begun(store: Store) -> None:
    await store.session()
    before = await store.jobs.job("7-0")
    lease = await store.claimed()
    await store.jobs.renew(lease, LEASE_MS, HALF_DONE)
    assert (await store.jobs.job("7-0")).progress == HALF_DONE
    await store.jobs.release(lease)
    after = await store.jobs.job("7-0")
    assert (after.state, after.starts, after.progress) == (RECORDED, 0, before.progress)
    assert (after.owner, after.lease_until_ms, after.fence) == (None, 0, 1)
    [attempt] = await store.jobs.attempts("7-0")
    assert (attempt.outcome, attempt.ended_ms) == ("released", store.clock())


async def test_a_proof_that_failed_shows_no_progress(store: Store) -> None:
    await store.session()
    lease = await store.claimed()
    await store.jobs.renew(lease, LEASE_MS, HALF_DONE)
    await store.jobs.retry_later(lease, PROBLEM, 0)
    assert (await store.jobs.job("7-0")).progress.cycles_total == 0


async def test_a_failed_step_rests_and_counts(store: Store) -> None:
    await store.session()
    await store.place("7-0", PROVEN)
    for failures in (1, 2):
        await store.jobs.retry_later(await store.stepped("7-0", PROVEN), PROBLEM, SECOND_MS)
        job = await store.jobs.job("7-0")
        assert (job.state, job.failures, job.problem) == (PROVEN, failures, PROBLEM)
        assert await store.step("7-0", PROVEN) is None
        assert await store.jobs.ready_steps(9) == []
        store.clock.go(SECOND_MS)
    await store.jobs.finish(await store.stepped("7-0", PROVEN), PUBLISHED)
    job = await store.jobs.job("7-0")
    assert (job.failures, job.problem, job.not_before_ms) == (0, None, 0)


async def test_a_step_whose_worker_was_lost_is_taken_over_and_told(store: Store) -> None:
    await store.session()
    await store.place("7-0", PROVEN)
    lost = await store.stepped("7-0", PROVEN)
    store.clock.go(LEASE_MS)
    await store.stepped("7-0", PROVEN)
    await require_lost(store, lost)
    assert [a.outcome for a in await store.jobs.attempts("7-0")] == ["lost", None]


async def test_one_lease_may_carry_a_job_through_two_states(store: Store) -> None:
    await store.session()
    await store.place("7-0", PUBLISHED)
    lease = await store.stepped("7-0", PUBLISHED)
    await store.jobs.move(lease, SUBMITTED)
    assert await store.step("7-0", SUBMITTED, owner="another") is None
    await store.jobs.finish(lease, CONFIRMED)
    await require_lost(store, lease)
    assert [a.outcome for a in await store.jobs.attempts("7-0")] == ["done"]


async def test_a_clock_that_jumps_back_locks_no_job(store: Store) -> None:
    await store.session()
    lost = await store.claimed()
    store.clock.go(-DAY_MS)
    assert await store.jobs.ready_proofs(LIVE, 9) == ["7-0"]
    lease = await store.claimed()
    assert lease.fence == 2
    await require_lost(store, lost)


async def test_a_clock_that_jumps_back_lets_no_job_rest_for_a_day(store: Store) -> None:
    await store.session()
    await store.jobs.retry_later(await store.claimed(), PROBLEM, LONGEST_REST_MS)
    assert await store.claim() is None
    store.clock.go(-DAY_MS)
    assert await store.jobs.ready_proofs(LIVE, 9) == ["7-0"]
    await store.claimed()


async def test_a_holder_goes_on_when_the_clock_jumps_back(store: Store) -> None:
    await store.session()
    lease = await store.claimed()
    store.clock.go(-DAY_MS)
    await store.jobs.renew(lease, LEASE_MS)
    assert await store.claim() is None


async def test_a_clock_that_jumps_forward_costs_the_first_worker_its_lease(store: Store) -> None:
    await store.session()
    lost = await store.claimed(CPU)
    store.clock.go(DAY_MS)
    lease = await store.claimed(BOTH)
    store.clock.go(-DAY_MS)
    await require_lost(store, lost)
    await store.jobs.finish(lease, PROVEN, artefact=ARTEFACT)
    assert [a.outcome for a in await store.jobs.attempts("7-0")] == ["lost", "done"]


async def test_no_lease_and_no_rest_is_longer_than_is_believed(store: Store) -> None:
    await store.session()
    lease = await store.claim(lease_ms=DAY_MS)
    assert lease is not None
    assert lease.until_ms == store.clock() + LONGEST_LEASE_MS
    assert await store.claim() is None
    await store.jobs.renew(lease, DAY_MS)
    assert await store.claim() is None
    await store.jobs.retry_later(lease, PROBLEM, DAY_MS)
    assert await store.claim() is None
    store.clock.go(LONGEST_REST_MS)
    await store.claimed()


async def test_of_many_that_ask_at_once_one_is_given_a_step(store: Store) -> None:
    await store.session()
    await store.place("7-0", PROVEN)
    asked = (store.step("7-0", PROVEN, owner=str(number)) for number in range(10))
    leases = await asyncio.gather(*asked)
    assert [lease is not None for lease in leases].count(True) == 1


async def test_the_proof_of_another_queue_is_not_given(store: Store) -> None:
    await store.session()
    await store.place("7-0", RECORDED, queue="audit")
    assert await store.claim() is None


@pytest.mark.parametrize("state", [RECORDED, PROVING])
async def test_no_step_begins_before_the_proof(store: Store, state: object) -> None:
    await store.session()
    await store.place("7-0", state)  # type: ignore[arg-type]
    assert await store.step("7-0", PROVEN, PUBLISHED, SUBMITTED) is None
