"""Processes and threads that claim from one database at once: each job is leased once."""

from __future__ import annotations

import asyncio
import multiprocessing
from functools import partial

from platformless.prover.ledger.errors import LeaseLost
from platformless.prover.ledger.job_values import Lease

from .builder import DUE, PROBLEM, PROVEN, Store, on_both_databases
from .claiming import Claimed, claim_all, in_process, in_threads, step_all

pytestmark = on_both_databases

SESSIONS, CHECKPOINTS = 6, 3
ALL = sorted((f"{s}-{c}", 1) for s in range(SESSIONS) for c in range(CHECKPOINTS))
THREADS = 6


async def add_all(store: Store) -> None:
    """Jobs that are due now or soon, by the clock on the wall."""
    for session_id in range(SESSIONS):
        await store.session(session_id, CHECKPOINTS, due_at=DUE + session_id % 3)


def together(found: list[Claimed]) -> Claimed:
    return sorted(pair for claimed in found for pair in claimed)


async def test_two_processes_lease_each_job_once(store: Store) -> None:
    await add_all(store)
    context = multiprocessing.get_context("forkserver")
    barrier, answers = context.Barrier(2), context.SimpleQueue()
    arguments = (store.settings.url, store.chain, barrier, answers)
    processes = [context.Process(target=in_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    assert together(found) == ALL
    assert len(found) == 2


async def test_many_threads_lease_each_job_once(store: Store) -> None:
    await add_all(store)
    work = partial(claim_all, store.settings.url, store.chain)
    found = await asyncio.to_thread(in_threads, THREADS, work)
    assert len(found) == THREADS
    assert together(found) == ALL
    attempts = [await store.jobs.attempts(job_id) for job_id, _ in ALL]
    assert [len(made) for made in attempts] == [1] * len(ALL)


async def test_many_threads_lease_each_step_once(store: Store) -> None:
    await add_all(store)
    first = [f"{session_id}-0" for session_id in range(SESSIONS)]
    for job_id in first:
        await store.place(job_id, PROVEN)
    work = partial(step_all, store.settings.url, store.chain, first)
    found = await asyncio.to_thread(in_threads, THREADS, work)
    assert together(found) == [(job_id, 1) for job_id in first]


async def test_one_ledger_that_many_tasks_claim_from_leases_each_job_once(store: Store) -> None:
    await add_all(store)

    async def work() -> list[Lease]:
        leases = []
        while (lease := await store.claim()) is not None:
            leases.append(lease)
        return leases

    found = await asyncio.gather(*(work() for _ in range(THREADS)))
    assert sorted((lease.job.id, lease.fence) for leases in found for lease in leases) == ALL


async def test_a_lost_lease_in_a_group_of_changes_undoes_no_other(store: Store) -> None:
    await add_all(store)
    leases = [await store.claimed() for _ in ALL]
    for lease in leases[::2]:
        await store.jobs.fail_unheld(lease.job.id, PROBLEM)
    results = await asyncio.gather(
        *(store.jobs.finish(lease, PROVEN) for lease in leases), return_exceptions=True
    )
    for place, result in enumerate(results):
        assert type(result) is (type(None) if place % 2 else LeaseLost)
    states = [await store.state(lease.job.id) for lease in leases[1::2]]
    assert set(states) == {PROVEN}
