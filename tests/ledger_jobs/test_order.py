"""Checkpoints of a session are proven in any order, published and submitted in theirs; what is
said to be ready is what can be claimed."""

from __future__ import annotations

import itertools
import random

import pytest
import sqlalchemy as sa

from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_tables import jobs as job_table

from .builder import (
    CONFIRMED,
    DUE,
    FAILED,
    LEASE_MS,
    LIVE,
    PROVEN,
    PROVING,
    PUBLISHED,
    RECORDED,
    SUBMITTED,
    Store,
    on_both_databases,
)

pytestmark = on_both_databases

_PASSES = {
    PROVEN: {PUBLISHED, SUBMITTED, CONFIRMED},
    PUBLISHED: {CONFIRMED},
    SUBMITTED: {CONFIRMED},
}


async def test_a_later_checkpoint_may_be_proven_first(store: Store) -> None:
    await store.session(checkpoints=2)
    first, second = await store.claimed(), await store.claimed()
    await store.jobs.finish(second, PROVEN)
    assert await store.state("7-1") is PROVEN
    assert await store.step("7-1", PROVEN) is None
    await store.jobs.finish(first, PROVEN)
    assert await store.jobs.ready_steps(9) == [("7-0", PROVEN)]


async def test_a_checkpoint_goes_on_when_the_one_before_is_far_enough(store: Store) -> None:
    await store.session(checkpoints=2)
    for before, state in itertools.product(JobState, _PASSES):
        await store.place("7-0", before)
        await store.place("7-1", state, lease_until_ms=0)
        may_go_on = before in _PASSES[state]
        assert (("7-1", state) in await store.jobs.ready_steps(9)) == may_go_on
        assert (await store.step("7-1", state) is not None) == may_go_on


async def test_a_session_goes_from_its_first_checkpoint_to_its_last(store: Store) -> None:
    await store.session(checkpoints=3)
    await store.prove_all()
    done: list[tuple[str, JobState]] = []
    while ready := await store.jobs.ready_steps(9):
        for job_id, state in ready:
            new = {PROVEN: PUBLISHED, PUBLISHED: SUBMITTED, SUBMITTED: CONFIRMED}[state]
            await store.jobs.finish(await store.stepped(job_id, state), new)
            done.append((job_id, new))
    for state in (PUBLISHED, SUBMITTED, CONFIRMED):
        assert [job_id for job_id, new in done if new is state] == ["7-0", "7-1", "7-2"]
    confirmed = [place for place, (_, new) in enumerate(done) if new is CONFIRMED]
    submitted = [place for place, (_, new) in enumerate(done) if new is SUBMITTED]
    assert all(a < b for a, b in zip(confirmed[:-1], submitted[1:], strict=True))


async def test_a_checkpoint_without_the_one_before_waits(store: Store) -> None:
    await store.session(checkpoints=2)
    await store.place("7-1", PROVEN)
    with store.database.write() as connection:
        connection.execute(
            job_table.delete().where(job_table.c.chain == store.chain, job_table.c.job_id == "7-0")
        )
    assert await store.jobs.ready_steps(9) == []
    assert await store.step("7-1", PROVEN) is None


async def test_a_settlement_is_ready_when_no_proof_is_awaited(store: Store) -> None:
    await store.session(checkpoints=2, ended=True)
    settlement = ("7-settlement", RECORDED)
    for first, second in itertools.product(JobState, JobState):
        await store.place("7-0", first)
        await store.place("7-1", second)
        ready = settlement in await store.jobs.ready_steps(9)
        assert ready == (FAILED in (first, second) or first is second is CONFIRMED)


async def test_a_limit_is_kept_for_each_step(store: Store) -> None:
    for session_id in range(4):
        await store.session(session_id, due_at=DUE + session_id)
        await store.place(f"{session_id}-0", PROVEN if session_id < 3 else PUBLISHED)
    assert await store.jobs.ready_steps(2) == [("0-0", PROVEN), ("1-0", PROVEN), ("3-0", PUBLISHED)]
    for session_id, state in enumerate((PROVING, RECORDED, RECORDED, RECORDED)):
        await store.place(f"{session_id}-0", state)
    assert await store.jobs.ready_proofs(LIVE, 0) == []
    assert await store.jobs.ready_proofs(LIVE, 1) == ["0-0"]
    assert await store.jobs.ready_proofs(LIVE, 3) == ["0-0", "1-0", "2-0"]


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_ready_is_what_can_be_claimed(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    for session_id in range(6):
        await store.session(session_id, checkpoints=3, due_at=DUE + session_id, ended=True)
        for number in range(3):
            await scatter(store, f"{session_id}-{number}", chance)
        await scatter(store, f"{session_id}-settlement", chance)
    proofs = await store.jobs.ready_proofs(LIVE, 99)
    steps = await store.jobs.ready_steps(99)
    jobs = await store.jobs.newest(99)
    claimed = {
        (job.id, job.state)
        for job in jobs
        if await store.step(job.id, job.state) is not None and is_step(job.id, job.state)
    }
    settlements = {pair for pair in claimed if "settlement" in pair[0]}
    assert claimed - settlements == {pair for pair in steps if "settlement" not in pair[0]}
    assert settlements >= {pair for pair in steps if "settlement" in pair[0]}
    await rest(store, proofs)
    begun = []
    while (lease := await store.claim(most_starts=99)) is not None:
        begun.append(lease.job.id)
    assert begun == proofs


def is_step(job_id: str, state: JobState) -> bool:
    return "settlement" in job_id or state not in (RECORDED, PROVING)


async def scatter(store: Store, job_id: str, chance: random.Random) -> None:
    """Brings a job anywhere, perhaps leased, perhaps resting."""
    settlement = (RECORDED, SUBMITTED, CONFIRMED, FAILED)
    state = chance.choice(settlement if "settlement" in job_id else list(JobState))
    now_ms = store.clock()
    await store.place(
        job_id,
        state,
        not_before_ms=chance.choice((0, now_ms, now_ms + 1, now_ms + 10**9)),
        owner=chance.choice((None, "w")),
        lease_until_ms=chance.choice((0, 0, now_ms, now_ms + 1, now_ms + LEASE_MS, now_ms + 10**9)),
        device=chance.choice((None, "cpu", "cuda")),
        cpu_next=chance.choice((False, True)),
    )


async def rest(store: Store, job_ids: list[str]) -> None:
    """Undoes what trying the steps did to the proofs."""
    with store.database.write() as connection:
        connection.execute(
            sa.update(job_table).where(
                job_table.c.chain == store.chain, job_table.c.job_id.in_(job_ids)
            ),
            {"lease_until_ms": 0},
        )
