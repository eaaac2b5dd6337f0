"""Each way in which a step may end, and what the ledger then says of its job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from platformless.prover.errors import ProverCrashed, ProverRefused
from platformless.prover.ledger.errors import LeaseLost, LedgerUnavailable
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import Lease, Problem, ProofProgress
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.pipeline.errors import DeadlineTooNear
from platformless.prover.pipeline.holding import claimed, held
from tests.ledger_jobs.builder import ARTEFACT, BOTH, CPU, HALF_DONE, KEY, Store

from .line import LIMIT_SECONDS
from .stage import changed

RULES = changed(lease_seconds=0.06)
JOB = "7-0"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A ledger with a session that has one checkpoint."""
    store = await Store.open(LedgerSettings(f"sqlite:///{tmp_path / 'ledger.db'}", KEY, "chain"))
    await store.session()
    yield store
    await store.close()


async def holding_of(store: Store, lease: Lease, error: Exception | None = None) -> None:
    """A step that raises, or ends without a word."""
    async with held(store.jobs, lease, RULES, store.clock):
        if error is not None:
            raise error


async def told(store: Store) -> list[tuple[str | None, str | None]]:
    """Outcome and code of each attempt."""
    attempts = await store.jobs.attempts(JOB)
    return [(one.outcome, one.problem.code if one.problem else None) for one in attempts]


async def until_renewed(store: Store, until_ms: int) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while (await store.jobs.job(JOB)).lease_until_ms < until_ms:
            await asyncio.sleep(0.005)


async def test_a_step_that_is_done_has_ended_its_lease(store: Store) -> None:
    lease = await store.claimed()
    async with held(store.jobs, lease, RULES, store.clock) as holding:
        await holding.finish(JobState.PROVEN, artefact=ARTEFACT)
    job = await store.jobs.job(JOB)
    assert (job.state, job.owner, job.problem) == (JobState.PROVEN, None, None)
    assert await told(store) == [("done", None)]
    assert await store.jobs.artefact(JOB) == ARTEFACT


async def test_a_lease_is_renewed_while_the_step_works(store: Store) -> None:
    lease = await store.claimed()
    async with held(store.jobs, lease, RULES, store.clock) as holding:
        for _ in range(3):
            store.clock.go(50)
            await until_renewed(store, store.clock() + round(RULES.lease_seconds * 1000))
        await holding.finish(JobState.PROVEN, artefact=ARTEFACT)
    assert await told(store) == [("done", None)]


async def test_progress_is_written_soon(store: Store) -> None:
    lease = await store.claimed()
    patient = changed(lease_seconds=3600)
    async with held(store.jobs, lease, patient, store.clock) as holding:
        holding.tell(HALF_DONE)
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await store.jobs.job(JOB)).progress != HALF_DONE:
                await asyncio.sleep(0.005)
        await holding.finish(JobState.PROVEN, artefact=ARTEFACT)


async def test_an_end_is_not_taken_for_a_loss(store: Store) -> None:
    """What a step does after its end takes longer than a renewal."""
    for number in range(10):
        lease = await store.claimed()
        went_on = False
        async with held(store.jobs, lease, changed(lease_seconds=0.003), store.clock) as holding:
            await holding.finish(JobState.PROVEN, artefact=ARTEFACT)
            await asyncio.sleep(0.01)
            went_on = True
        assert went_on
        await store.place(JOB, JobState.RECORDED, starts=0)
        assert len(await told(store)) == number + 1


async def test_a_failure_that_is_written_is_no_loss_either(store: Store) -> None:
    """However often the lease is being renewed at that moment."""
    for error in 20 * [ProverCrashed("killed"), DeadlineTooNear("too late")]:
        lease = await store.claimed()
        async with held(store.jobs, lease, changed(lease_seconds=0.0003), store.clock):
            await asyncio.sleep(0.002)
            raise error
        await store.place(
            JOB, JobState.RECORDED, starts=0, not_before_ms=0, failures=0, late_for=None
        )
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_an_error_after_the_end_changes_nothing(store: Store) -> None:
    lease = await store.claimed()
    async with held(store.jobs, lease, RULES, store.clock) as holding:
        await holding.finish(JobState.PROVEN, artefact=ARTEFACT)
        raise ProverRefused("STP-001", "after the end")
    job = await store.jobs.job(JOB)
    assert (job.state, job.problem) == (JobState.PROVEN, None)
    assert await told(store) == [("done", None)]


async def test_a_step_that_fails_is_tried_again_after_a_rest(store: Store) -> None:
    await holding_of(store, await store.claimed(), ProverCrashed("killed"))
    job = await store.jobs.job(JOB)
    assert (job.state, job.owner, job.failures, job.starts) == (JobState.RECORDED, None, 1, 1)
    assert job.not_before_ms > store.clock()
    assert job.problem is not None
    assert job.problem.code == "PRV-002"
    assert not job.cpu_next
    assert await told(store) == [("failed", "PRV-002")]


async def test_a_gpu_that_fails_is_followed_by_a_cpu(store: Store) -> None:
    await holding_of(store, await store.claimed(BOTH), ProverCrashed("killed"))
    assert (await store.jobs.job(JOB)).cpu_next


async def test_a_step_that_cannot_succeed_is_given_up(store: Store) -> None:
    await holding_of(store, await store.claimed(), ProverRefused("STP-001", "no such guest"))
    job = await store.jobs.job(JOB)
    assert (job.state, job.owner, job.failed_from) == (JobState.FAILED, None, JobState.PROVING)
    assert await told(store) == [("failed", "PRV-003")]


async def test_an_error_that_nobody_foresaw_has_a_code_too(store: Store) -> None:
    await holding_of(store, await store.claimed(), ZeroDivisionError("what?"))
    job = await store.jobs.job(JOB)
    assert job.problem == Problem("PLA-000", "ZeroDivisionError: what?")


async def test_a_device_that_would_be_late_refuses(store: Store) -> None:
    await holding_of(store, await store.claimed(), DeadlineTooNear("too late"))
    job = await store.jobs.job(JOB)
    assert (job.state, job.starts, job.late_for) == (JobState.RECORDED, 0, "cpu")
    assert await told(store) == [("refused", "PIP-001")]


async def test_a_step_that_is_cancelled_gives_the_job_back(store: Store) -> None:
    lease = await store.claimed()

    async def work() -> None:
        async with held(store.jobs, lease, RULES, store.clock) as holding:
            holding.tell(ProofProgress(1, 2, 1, 2))
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await until_renewed(store, store.clock() + 1)
    working.cancel()
    await asyncio.wait({working})
    assert working.cancelled()
    job = await store.jobs.job(JOB)
    assert (job.state, job.owner, job.starts) == (JobState.RECORDED, None, 0)
    assert await told(store) == [("released", None)]


async def test_a_lease_that_is_got_while_the_step_is_cancelled_is_given_back(store: Store) -> None:
    for _ in range(10):
        claiming = asyncio.create_task(claimed(store.jobs, store.claim()))
        await asyncio.sleep(0)  # it has begun, and has asked the ledger
        await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.wait({claiming})
        assert claiming.cancelled()
    job = await store.jobs.job(JOB)
    assert (job.state, job.owner, job.starts) == (JobState.RECORDED, None, 0)
    assert await told(store) == 10 * [("released", None)]


async def test_a_lost_lease_stops_the_step_and_is_no_cancellation(store: Store) -> None:
    lease = await store.claimed()
    store.clock.go(60_000)
    other = await store.claimed(BOTH)
    with pytest.raises(LeaseLost):
        async with held(store.jobs, lease, RULES, store.clock):
            await asyncio.Event().wait()
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0
    assert (await store.jobs.job(JOB)).fence == other.fence
    assert await told(store) == [("lost", None), (None, None)]


async def test_what_a_loser_finishes_is_thrown_away(store: Store) -> None:
    lease = await store.claimed()
    store.clock.go(60_000)
    await store.claimed(CPU)
    with pytest.raises(LeaseLost):
        async with held(store.jobs, lease, changed(lease_seconds=60), store.clock) as holding:
            await holding.finish(JobState.PROVEN, artefact=ARTEFACT)
    assert await store.jobs.artefact(JOB) is None


async def test_a_loser_that_fails_changes_nothing(store: Store) -> None:
    lease = await store.claimed()
    store.clock.go(60_000)
    other = await store.claimed(CPU)
    async with held(store.jobs, lease, changed(lease_seconds=60), store.clock):
        raise ProverRefused("STP-001", "no such guest")
    job = await store.jobs.job(JOB)
    assert (job.state, job.fence, job.problem) == (JobState.PROVING, other.fence, None)


class Unwritable:
    """Jobs of a ledger that cannot be written any more."""

    def __getattr__(self, _name: str) -> Any:
        async def fail(*_: object, **__: object) -> NoReturn:
            raise LedgerUnavailable("the disk is full")

        return fail


async def test_a_ledger_that_fails_leaves_the_lease_to_end_by_itself(store: Store) -> None:
    lease = await store.claimed()
    with pytest.raises(LedgerUnavailable):
        async with held(Unwritable(), lease, RULES, store.clock) as holding:  # type: ignore[arg-type]
            await asyncio.sleep(2 * RULES.lease_seconds)  # renewals fail, and the work goes on
            await holding.finish(JobState.PROVEN, artefact=ARTEFACT)
    assert (await store.jobs.job(JOB)).fence == lease.fence
    store.clock.go(60_000)
    again = await store.claimed()
    assert (again.job.starts, again.fence) == (2, lease.fence + 1)


async def test_a_failure_that_cannot_be_written_raises_nothing(store: Store) -> None:
    lease = await store.claimed()
    async with held(Unwritable(), lease, RULES, store.clock):  # type: ignore[arg-type]
        raise ProverCrashed("killed")
    assert (await store.jobs.job(JOB)).state is JobState.PROVING
