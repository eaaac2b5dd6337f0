"""What was said is erased once a session is settled; what was paid for it stays."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from platformless.prover.ledger.errors import NotInLedger
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import Submission
from platformless.prover.ledger.tables import PRIVATE
from platformless.prover.ledger.values import Binding

from .builder import CONFIRMED, FAILED, PROVEN, PUBLISHED, SUBMITTED, Store, on_both_databases

DAY = 86_400_000


def private_rows(store: Store, session_id: int) -> int:
    with store.database.read() as connection:
        counts = [
            connection.execute(
                sa.select(sa.func.count())
                .select_from(table)
                .where(table.c.chain == store.chain, table.c.session_id == str(session_id))
            ).scalar()
            for table in PRIVATE
        ]
    return sum(count or 0 for count in counts)


async def settled(store: Store, session_id: int, checkpoints: int = 2) -> None:
    await store.session(session_id, checkpoints, ended=True)
    await store.ledger.bind(session_id, Binding("0x33", None))
    await store.ledger.take_init(session_id, b"mark")
    await store.settle(session_id, checkpoints)


@on_both_databases
async def test_a_settled_session_is_erased_and_its_jobs_stay(store: Store) -> None:
    await settled(store, 7)
    assert (await store.ledger.window(7, 1)).checkpoint == 1
    rows = [store.rows(job_id) for job_id in ("7-0", "7-1", "7-settlement")]
    store.clock.go(1)
    assert await store.ledger.erase_settled(store.clock()) == 1
    assert private_rows(store, 7) == 0
    for number in (0, 1):
        with pytest.raises(NotInLedger):
            await store.ledger.window(7, number)
    assert await store.ledger.session(7) is None
    assert [store.rows(job_id) for job_id in ("7-0", "7-1", "7-settlement")] == rows
    artefact = await store.jobs.artefact("7-1")
    assert artefact is not None
    assert artefact.bundle is None
    assert await store.ledger.erase_settled(store.clock()) == 0


async def test_a_session_is_erased_no_sooner_than_its_settlement_is_old_enough(
    store: Store,
) -> None:
    await settled(store, 7)
    at_ms = store.clock()
    store.clock.go(DAY)
    assert await store.ledger.erase_settled(at_ms) == 0
    assert await store.ledger.session(7) is not None
    assert await store.ledger.erase_settled(at_ms + 1) == 1


@pytest.mark.parametrize("job_id", ["7-0", "7-1", "7-settlement"])
async def test_a_session_with_a_job_that_is_not_confirmed_is_kept(
    store: Store, job_id: str
) -> None:
    await settled(store, 7)
    before = private_rows(store, 7)
    for state in JobState:
        if state is not CONFIRMED:
            await store.place(job_id, state)
            assert await store.ledger.erase_settled(store.clock() + DAY) == 0
    assert private_rows(store, 7) == before > 0
    await store.place(job_id, CONFIRMED)
    assert await store.ledger.erase_settled(store.clock() + DAY) == 1


@on_both_databases
async def test_a_session_is_kept_until_its_samples_are_over(store: Store) -> None:
    await store.sampled(checkpoints=2, ended=True)
    await store.confirm("7-settlement")
    for number in (0, 1):
        for state in JobState:
            if state is not CONFIRMED:
                await store.place(f"7-{number}-sample", state)
                assert await store.ledger.erase_settled(store.clock() + DAY) == 0
        assert (await store.ledger.context(7, 1)).tokens
        await store.place(f"7-{number}-sample", CONFIRMED)
    assert await store.ledger.erase_settled(store.clock() + DAY) == 1
    with pytest.raises(NotInLedger):
        await store.ledger.context(7, 1)


async def test_a_session_that_nobody_asked_to_settle_is_kept(store: Store) -> None:
    await store.session(7, checkpoints=1)
    await store.prove_all()
    await store.confirm("7-0")
    assert await store.ledger.erase_settled(store.clock() + DAY) == 0


@on_both_databases
async def test_only_settled_sessions_of_the_chain_are_erased(store: Store) -> None:
    await settled(store, 7)
    await settled(store, 77)
    await store.session(78, ended=True)
    await settled(store, 79, checkpoints=0)
    other = await Store.open(store.elsewhere())
    await settled(other, 7)
    assert await store.ledger.erase_settled(store.clock() + DAY) == 3
    assert [private_rows(store, i) > 0 for i in (7, 77, 78, 79)] == [False, False, True, False]
    assert private_rows(other, 7) > 0
    await other.close()


async def test_what_was_paid_can_be_read_after_all_was_erased(store: Store) -> None:
    await store.session(7, ended=True)
    await store.prove_all()
    published = Submission(proof_cid="u1", delta_cid="u2")
    await store.jobs.finish(await store.stepped("7-0", PROVEN), PUBLISHED, submission=published)
    paid = Submission(transaction_hash="0x1", host_earned="50")
    await store.jobs.finish(await store.stepped("7-0", PUBLISHED), SUBMITTED, submission=paid)
    await store.settle(7)
    assert await store.ledger.erase_settled(store.clock() + DAY) == 1
    assert await store.jobs.submission("7-0") == Submission(
        proof_cid="u1", delta_cid="u2", transaction_hash="0x1", host_earned="50"
    )
    assert [a.outcome for a in await store.jobs.attempts("7-0")] == ["done"] * 4
    assert FAILED not in {job.state for job in await store.jobs.of_sessions([7])}
