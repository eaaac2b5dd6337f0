"""Jobs as an operator sees them, from the values of the ledger alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from platformless.node.operating.as_text import HEADINGS, duration, list_lines
from platformless.node.operating.changes import changes
from platformless.node.operating.cli import StateName
from platformless.node.operating.paced import REST, Paced
from platformless.node.operating.table import counts_text
from platformless.node.operating.views import JobView, view_of
from platformless.protocol.transcript import Tokens
from platformless.prover.ledger.job_states import JobKind, JobQueue, JobState
from platformless.prover.ledger.job_values import Job, JobCounts, Problem, ProofProgress

NOW_MS = 1_700_000_000_000
JOB = Job(
    id="7-0",
    kind=JobKind.CHECKPOINT,
    session_id=7,
    number=0,
    queue=JobQueue.LIVE,
    state=JobState.RECORDED,
    tokens=Tokens(1000),
    due_at=NOW_MS // 1000 + 90,
    created_ms=NOW_MS - 5_000,
    changed_ms=NOW_MS - 1_000,
    starts=0,
    failures=0,
    not_before_ms=0,
    owner=None,
    fence=0,
    lease_until_ms=0,
    began_ms=0,
    device=None,
    cpu_next=False,
    late_for=None,
    failed_from=None,
    problem=None,
    progress=ProofProgress(),
)
HALF = ProofProgress(50, 100, 1, 2, expected_ms=100_000)
PROVING = replace(
    JOB,
    state=JobState.PROVING,
    starts=1,
    fence=1,
    owner="a worker",
    lease_until_ms=NOW_MS + 1,
    began_ms=NOW_MS,
    progress=HALF,
)


def view(job: Job = JOB, **changes: Any) -> JobView:
    return view_of(replace(job, **changes), NOW_MS)


def test_a_view_tells_age_and_what_is_left_until_it_is_due() -> None:
    seen = view()
    assert (seen.age_seconds, seen.due_in_seconds, seen.is_late) == (5, 90, False)
    assert view(due_at=NOW_MS // 1000 - 1).is_late
    assert not view(due_at=0, state=JobState.CONFIRMED).is_late


@pytest.mark.parametrize(
    ("changed", "progress"),
    [
        ({}, 0.0),
        ({"kind": JobKind.SETTLEMENT}, None),
        ({"state": JobState.PROVEN}, 1.0),
        ({"state": JobState.CONFIRMED}, 1.0),
        ({"state": JobState.FAILED, "failed_from": JobState.PUBLISHED}, 1.0),
        ({"state": JobState.FAILED, "failed_from": JobState.PROVING}, 0.0),
        ({"state": JobState.PROVING, "progress": HALF}, 0.5),
    ],
)
def test_progress_is_that_of_the_proof(changed: dict[str, Any], progress: float | None) -> None:
    assert view(**changed).progress == progress


def test_a_segment_under_way_counts_from_when_the_attempt_began() -> None:
    assert view(PROVING, began_ms=NOW_MS - 80_000).progress == pytest.approx(0.8)
    assert view(PROVING, began_ms=NOW_MS + 1).progress == 0.5


def test_a_proof_that_nobody_builds_goes_no_further() -> None:
    assert view(PROVING, began_ms=NOW_MS - 80_000, lease_until_ms=NOW_MS).progress == 0.5


def test_a_job_whose_worker_was_lost_says_so() -> None:
    assert view(PROVING).is_held
    for lease_until_ms in (NOW_MS, NOW_MS + 86_400_000):
        lost = view(PROVING, lease_until_ms=lease_until_ms)
        assert not lost.is_held
        assert "proving, lost" in list_lines([lost])[1]


def test_durations_have_two_units_at_most() -> None:
    told = [duration(s) for s in (0.4, 45, 750, 11_100, 187_200, -90, -0.5)]
    assert told == ["0 s", "45 s", "12 min", "3 h 05 min", "2 d 4 h", "-1 min", "0 s"]


def test_a_list_has_its_columns_under_each_other() -> None:
    failed = view(
        id="12345678-12",
        state=JobState.FAILED,
        failed_from=JobState.PROVING,
        starts=3,
        failures=2,
        problem=Problem("PRV-004", "x"),
    )
    lines = list_lines([view(), failed])
    assert [lines[0].index(name) for name in HEADINGS] == sorted(map(lines[0].index, HEADINGS))
    assert {line.index("checkpoint") for line in lines[1:]} == {lines[0].index("kind")}
    assert lines[2].endswith("  PRV-004")
    assert "3 (2 failed)" in lines[2]
    assert list_lines([]) == ["no such jobs"]


def test_a_change_is_told_once() -> None:
    told, marks = changes({}, [view()], NOW_MS)
    assert [seen.job.id for seen in told] == ["7-0"]
    assert changes(marks, [view()], NOW_MS)[0] == []


def test_each_tenth_of_a_proof_is_a_change() -> None:
    marks = changes({}, [view(PROVING)], NOW_MS)[1]
    for cycles, is_told in ((59, False), (60, True), (100, True)):
        moved = view(PROVING, progress=replace(HALF, cycles_done=cycles))
        assert bool(changes(marks, [moved], NOW_MS)[0]) is is_told


def test_what_ended_before_the_watch_is_no_news() -> None:
    ended = view(state=JobState.CONFIRMED)
    assert changes({}, [ended], ended.job.changed_ms + 1)[0] == []
    assert changes({}, [ended], ended.job.changed_ms)[0] == [ended]


def test_changes_come_in_the_order_in_which_they_were_made() -> None:
    later, earlier = view(id="a", changed_ms=2), view(id="b", changed_ms=1)
    assert changes({}, [later, earlier], 0)[0] == [earlier, later]


def test_counts_are_told_by_state() -> None:
    kind = JobKind.CHECKPOINT
    counts = JobCounts(
        {
            (kind, JobState.CONFIRMED): 1_200,
            (JobKind.SETTLEMENT, JobState.CONFIRMED): 1,
            (kind, JobState.RECORDED): 2,
        },
        NOW_MS - 90_000,
    )
    told = "2 recorded, 1,201 confirmed; the oldest open one is 1 min old"
    assert counts_text(counts, NOW_MS) == told
    assert counts_text(JobCounts({}, None), NOW_MS) == "no jobs"


def test_every_state_can_be_asked_for() -> None:
    assert [name.value for name in StateName] == [state.value for state in JobState]


async def test_an_answer_is_kept_the_longer_the_more_it_costs() -> None:
    now, cost, asked = 0.0, 0.0, 0

    async def ask() -> int:
        nonlocal now, asked
        now += cost
        asked += 1
        return asked

    paced = Paced(ask, 5.0, lambda: now)
    assert [await paced.answer(), await paced.answer()] == [1, 1]
    now, cost = 5.0, 2.0
    assert await paced.answer() == 2
    now += REST * cost - 1
    assert await paced.answer() == 2
    now += 1
    assert await paced.answer() == 3
