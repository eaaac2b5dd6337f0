"""What may follow what: the table, and a store that keeps to it."""

from __future__ import annotations

import itertools

import pytest

from platformless.prover.ledger.errors import TransitionRefused
from platformless.prover.ledger.job_states import (
    OVER,
    TRANSITIONS,
    JobKind,
    JobState,
    require_transition,
    retried_as,
)
from platformless.prover.ledger.job_values import (
    Lease,
    checkpoint_job,
    kind_of,
    sample_job,
    settlement_job,
)

from .builder import (
    AUDIT,
    CONFIRMED,
    FAILED,
    PROBLEM,
    PROVEN,
    PROVING,
    RECORDED,
    SUBMITTED,
    Store,
)

BY_HAND = {
    JobKind.CHECKPOINT: """
        recorded: proving failed
        proving: proving recorded proven failed
        proven: published failed
        published: submitted confirmed failed
        submitted: confirmed failed
        confirmed:
        failed: recorded proven published submitted
    """,
    JobKind.SAMPLE: """
        recorded: proving failed
        proving: proving recorded proven confirmed failed
        proven: recorded confirmed failed
        confirmed:
        failed: recorded proven
    """,
    JobKind.SETTLEMENT: """
        recorded: submitted confirmed failed
        submitted: confirmed failed
        confirmed:
        failed: recorded submitted
    """,
}
PAIRS = list(itertools.product(JobState, JobState))
ENDED_BY = {"finish": {FAILED}, "move": OVER}
"""What these changes leave to others."""
KINDS = {
    JobKind.CHECKPOINT: "7-0",
    JobKind.SAMPLE: "7-0-sample",
    JobKind.SETTLEMENT: "7-settlement",
}


def by_hand(kind: JobKind) -> set[tuple[JobState, JobState]]:
    lines = (line.split(":") for line in BY_HAND[kind].strip().splitlines())
    return {
        (JobState(before.strip()), JobState(after))
        for before, following in lines
        for after in following.split()
    }


def test_a_jobs_id_says_of_which_kind_it_is() -> None:
    assert {kind_of(job_id): job_id for job_id in KINDS.values()} == KINDS
    assert (checkpoint_job(7, 0), sample_job(7, 0), settlement_job(7)) == tuple(KINDS.values())


@pytest.mark.parametrize("kind", JobKind)
def test_the_table_says_what_was_meant(kind: JobKind) -> None:
    table = TRANSITIONS[kind]
    assert {(before, after) for before in table for after in table[before]} == by_hand(kind)


@pytest.mark.parametrize("kind", JobKind)
def test_every_transition_is_allowed_or_refused(kind: JobKind) -> None:
    for before, after in PAIRS:
        if (before, after) in by_hand(kind):
            require_transition("7-0", kind, before, after)
        else:
            with pytest.raises(TransitionRefused, match=f"7-0.*{after.value}"):
                require_transition("7-0", kind, before, after)


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize("way", ["finish", "move", "fail"])
async def test_a_lease_moves_a_job_only_by_the_table(store: Store, kind: JobKind, way: str) -> None:
    await store.sampled(ended=True)
    job_id = KINDS[kind]
    for before, after in PAIRS:
        if way == "fail" and after is not FAILED:
            continue
        await store.place(job_id, before, owner="w", fence=5, lease_until_ms=1)
        lease, rows = Lease(await store.jobs.job(job_id), "w", 5, 1), store.rows(job_id)
        if (before, after) in by_hand(kind) and (way == "fail" or after not in ENDED_BY[way]):
            await change(store, way, lease, after)
            assert await store.state(job_id) is after
        else:
            with pytest.raises(TransitionRefused):
                await change(store, way, lease, after)
            assert store.rows(job_id) == rows


async def change(store: Store, way: str, lease: Lease, state: JobState) -> None:
    if way == "finish":
        await store.jobs.finish(lease, state)
    elif way == "move":
        await store.jobs.move(lease, state)
    else:
        await store.jobs.fail(lease, PROBLEM)


async def test_a_job_that_is_over_cannot_be_leased(store: Store) -> None:
    await store.sampled(ended=True)
    for state in OVER:
        for job_id in KINDS.values():
            await store.place(job_id, state)
            assert await store.step(job_id, *JobState) is None
        assert await store.claim() is None
        assert await store.claim(queue=AUDIT) is None


async def test_a_job_does_not_end_while_it_is_worked_on(store: Store) -> None:
    await store.session(ended=True)
    lease = await store.stepped("7-settlement", RECORDED)
    for state in OVER:
        with pytest.raises(TransitionRefused):
            await store.jobs.move(lease, state)
    with pytest.raises(TransitionRefused):
        await store.jobs.finish(lease, FAILED)
    await store.jobs.finish(lease, CONFIRMED)


@pytest.mark.parametrize(
    ("kind", "failed_from", "again"),
    [
        (JobKind.CHECKPOINT, RECORDED, RECORDED),
        (JobKind.CHECKPOINT, PROVING, RECORDED),
        (JobKind.CHECKPOINT, PROVEN, PROVEN),
        (JobKind.CHECKPOINT, JobState.PUBLISHED, JobState.PUBLISHED),
        (JobKind.CHECKPOINT, SUBMITTED, SUBMITTED),
        (JobKind.SAMPLE, RECORDED, RECORDED),
        (JobKind.SAMPLE, PROVING, RECORDED),
        (JobKind.SAMPLE, PROVEN, PROVEN),
        (JobKind.SETTLEMENT, RECORDED, RECORDED),
        (JobKind.SETTLEMENT, SUBMITTED, SUBMITTED),
    ],
)
def test_what_failed_begins_again_where_it_failed(
    kind: JobKind, failed_from: JobState, again: JobState
) -> None:
    assert retried_as(kind, failed_from) is again


@pytest.mark.parametrize("kind", JobKind)
def test_nothing_begins_again_where_nothing_fails(kind: JobKind) -> None:
    for state in OVER:
        with pytest.raises(TransitionRefused):
            retried_as(kind, state)
