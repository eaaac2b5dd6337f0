"""Which proof a worker is given, and on which device it is built."""

from __future__ import annotations

from platformless.prover.ledger.job_claiming import LAST_CHOICE_MS, WAIT_FOR_CPU_MS

from .builder import (
    BOTH,
    CPU,
    DUE,
    GPU,
    LEASE_MS,
    LIVE,
    MOST_STARTS,
    PROBLEM,
    PROVEN,
    PROVING,
    RECORDED,
    SECOND_MS,
    Store,
)


async def told(store: Store, job_id: str) -> list[tuple[str | None, str | None]]:
    """Device and outcome of each attempt."""
    return [(a.device, a.outcome) for a in await store.jobs.attempts(job_id)]


async def test_what_is_due_next_is_first(store: Store) -> None:
    for session_id, due_at in ((1, DUE + 20), (2, DUE), (3, DUE + 10)):
        await store.session(session_id, checkpoints=2, due_at=due_at)
    expected = ["2-0", "2-1", "3-0", "3-1", "1-0", "1-1"]
    assert await store.jobs.ready_proofs(LIVE, 10) == expected
    assert [(await store.claimed()).job.id for _ in expected] == expected
    assert await store.claim() is None


async def test_what_is_due_at_another_time_is_taken_then(store: Store) -> None:
    await store.session(1, due_at=DUE)
    await store.session(2, due_at=DUE + 10)
    await store.jobs.set_due(1, DUE + 20)
    assert (await store.claimed()).job.id == "2-0"
    assert (await store.claimed()).job.due_at == DUE + 20


async def test_what_a_lost_worker_left_is_taken_before_what_is_due_next(store: Store) -> None:
    await store.session(1, due_at=DUE)
    await store.claimed()
    await store.session(2, due_at=DUE - 100)
    store.clock.go(LEASE_MS)
    lease = await store.claimed()
    assert (lease.job.id, lease.job.starts, lease.fence) == ("1-0", 2, 2)
    assert await told(store, "1-0") == [("cpu", "lost"), ("cpu", None)]


async def test_a_refused_proof_is_the_last_that_the_device_takes(store: Store) -> None:
    await store.session(1, due_at=DUE)
    await store.session(2, due_at=DUE + 10)
    lease = await store.claimed(CPU)
    await store.jobs.refuse(lease, "cpu", PROBLEM)
    job = await store.jobs.job("1-0")
    assert (job.state, job.starts, job.problem) == (RECORDED, 0, PROBLEM)
    assert job.is_late_for("cpu")
    assert not job.is_late_for("cuda")
    assert (await store.claimed(CPU)).job.id == "2-0"
    assert await store.claim(CPU) is None  # others have time to take it
    store.clock.go(LAST_CHOICE_MS)
    assert (await store.claimed(CPU)).job.id == "1-0"


async def test_a_refused_proof_is_as_urgent_as_ever_to_another_device(store: Store) -> None:
    await store.session(1, due_at=DUE)
    await store.session(2, due_at=DUE + 10)
    await store.jobs.refuse(await store.claimed(CPU), "cpu", PROBLEM)
    assert (await store.claimed(GPU)).job.id == "1-0"


async def test_devices_that_all_refused_a_proof_do_not_hand_it_to_and_fro(store: Store) -> None:
    await store.session()
    await store.jobs.refuse(await store.claimed(CPU), "cpu", PROBLEM)
    await store.jobs.refuse(await store.claimed(GPU), "cuda", PROBLEM)
    store.clock.go(LAST_CHOICE_MS)
    lease = await store.claimed(CPU)
    assert lease.job.is_late_for("cpu")
    await store.jobs.refuse(lease, "cpu", PROBLEM)
    assert (await store.jobs.job("7-0")).late_for == "cpu cuda"


async def test_a_device_that_would_have_been_late_may_try_when_there_is_more_time(
    store: Store,
) -> None:
    await store.session(1, due_at=DUE)
    await store.session(2, due_at=DUE + 100)
    await store.jobs.refuse(await store.claimed(CPU), "cpu", PROBLEM)
    await store.jobs.set_due(1, DUE + 50)
    lease = await store.claimed(CPU)
    assert (lease.job.id, lease.job.late_for) == ("1-0", None)


async def test_a_proof_that_a_gpu_was_lost_with_has_one_attempt_on_a_cpu(store: Store) -> None:
    await store.session()
    assert (await store.claimed(BOTH)).job.device == "cuda"
    store.clock.go(LEASE_MS)
    assert (await store.claimed(BOTH)).job.device == "cpu"
    store.clock.go(LEASE_MS)
    assert (await store.claimed(BOTH)).job.device == "cuda"
    assert await told(store, "7-0") == [("cuda", "lost"), ("cpu", "lost"), ("cuda", None)]


async def test_a_worker_without_a_cpu_leaves_such_a_proof_to_others(store: Store) -> None:
    await store.session(1, due_at=DUE)
    await store.session(2, due_at=DUE + 10)
    await store.claimed(GPU)
    store.clock.go(LEASE_MS)
    assert (await store.claimed(GPU)).job.id == "2-0"
    assert await store.claim(GPU) is None
    job = await store.jobs.job("1-0")
    assert (job.state, job.owner, job.cpu_next) == (PROVING, None, True)
    lease = await store.claimed(CPU)
    assert (lease.job.id, lease.job.device, lease.job.starts) == ("1-0", "cpu", 2)
    assert await told(store, "1-0") == [("cuda", "lost"), ("cpu", None)]


async def test_a_worker_without_a_cpu_takes_over_when_the_cpu_is_lost_too(store: Store) -> None:
    await store.session()
    await store.claimed(GPU)
    store.clock.go(LEASE_MS)
    await store.claimed(CPU)
    assert await store.claim(GPU) is None
    store.clock.go(LEASE_MS)
    assert (await store.claimed(GPU)).job.device == "cuda"


async def test_the_attempt_on_a_cpu_is_still_due_when_its_worker_was_told_to_stop(
    store: Store,
) -> None:
    await store.session()
    await store.claimed(BOTH)
    store.clock.go(LEASE_MS)
    await store.jobs.release(await store.claimed(BOTH))
    assert await store.claim(GPU) is None
    assert (await store.claimed(BOTH)).job.device == "cpu"


async def test_where_no_cpu_comes_a_gpu_has_it_after_all(store: Store) -> None:
    await store.session()
    await store.claimed(GPU)
    store.clock.go(LEASE_MS)
    assert await store.claim(GPU) is None
    store.clock.go(WAIT_FOR_CPU_MS)
    lease = await store.claimed(GPU)
    assert (lease.job.device, lease.job.cpu_next) == ("cuda", False)


async def test_a_gpu_may_have_what_the_cpu_would_not_finish_in_time(store: Store) -> None:
    await store.session()
    await store.claimed(BOTH)
    store.clock.go(LEASE_MS)
    await store.jobs.refuse(await store.claimed(CPU), "cpu", PROBLEM)
    assert (await store.claimed(GPU)).job.device == "cuda"


async def test_a_proof_that_broke_a_gpus_prover_is_for_a_cpu_next(store: Store) -> None:
    await store.session()
    lease = await store.claimed(BOTH)
    await store.jobs.retry_later(lease, PROBLEM, SECOND_MS, cpu_next=True)
    assert await store.claim(BOTH) is None
    store.clock.go(SECOND_MS)
    assert await store.claim(GPU) is None
    again = await store.claimed(BOTH)
    assert again.job.device == "cpu"
    await store.jobs.finish(again, PROVEN)
    assert not (await store.jobs.job("7-0")).cpu_next


async def test_a_proof_that_is_begun_too_often_is_given_up(store: Store) -> None:
    await store.session(1, due_at=DUE)
    for _ in range(MOST_STARTS):
        assert (await store.claimed()).job.id == "1-0"
        store.clock.go(LEASE_MS)
    await store.session(2, due_at=DUE + 10)
    assert (await store.claimed()).job.id == "2-0"
    job = await store.jobs.job("1-0")
    assert (job.failed_from, job.starts, job.owner) == (PROVING, MOST_STARTS, None)
    assert job.problem is not None
    assert job.problem.code == "LED-011"
    assert "the worker was lost" in job.problem.message
    assert [outcome for _, outcome in await told(store, "1-0")] == ["lost"] * MOST_STARTS


async def test_why_a_proof_was_given_up_names_the_last_failure(store: Store) -> None:
    await store.session()
    for _ in range(MOST_STARTS):
        await store.jobs.retry_later(await store.claimed(), PROBLEM, 0)
    assert await store.claim() is None
    job = await store.jobs.job("7-0")
    assert job.failed_from is RECORDED
    assert job.problem is not None
    assert "TST-001 it went wrong" in job.problem.message


async def test_a_worker_lost_after_a_failure_is_what_is_told(store: Store) -> None:
    await store.session()
    await store.jobs.retry_later(await store.claimed(), PROBLEM, 0)
    for _ in range(MOST_STARTS - 1):
        await store.claimed()
        store.clock.go(LEASE_MS)
    assert await store.claim() is None
    job = await store.jobs.job("7-0")
    assert job.problem is not None
    assert "the worker was lost" in job.problem.message


async def test_starts_that_were_released_or_refused_do_not_count(store: Store) -> None:
    await store.session()
    for _ in range(3 * MOST_STARTS):
        await store.jobs.release(await store.claimed())
        store.clock.go(LAST_CHOICE_MS)
        await store.jobs.refuse(await store.claimed(), "cpu", PROBLEM)
        store.clock.go(LAST_CHOICE_MS)
    assert (await store.jobs.job("7-0")).starts == 0
    assert (await store.claimed()).job.starts == 1
