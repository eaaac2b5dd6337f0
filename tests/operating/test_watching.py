"""Watching jobs that go on meanwhile."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Collection
from dataclasses import replace

import pytest
from rich.console import Console

from platformless.console import Output
from platformless.node.operating import watching
from platformless.node.operating.watching import (
    MOST_ROWS,
    Lookout,
    watch_by_line,
    watch_on_screen,
)
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import Job, Lease
from tests.ledger_jobs.builder import (
    ARTEFACT,
    HALF_DONE,
    LEASE_MS,
    PROBLEM,
    PROVEN,
    PROVING,
    RECORDED,
    SUBMITTED,
    Store,
)

SECONDS = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "REFRESH_SECONDS", 0.01)


class Lines(Output):
    """Keeps the lines instead of printing them."""

    def __init__(self) -> None:
        super().__init__("test", "jobs watch", as_json=False)
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text.partition(" ")[2])

    async def until(self, text: str) -> None:
        async with asyncio.timeout(SECONDS):
            while text not in self.lines:
                await asyncio.sleep(0.005)


async def test_each_change_is_a_line(store: Store) -> None:
    await store.session(7)
    await store.jobs.add_settlement(7, due_at=1)
    output, stopping = Lines(), asyncio.Event()
    watch = asyncio.create_task(
        watch_by_line(output, Lookout(store.jobs, store.clock), stopping, until_idle=True)
    )
    await output.until("7-0 recorded 0 %")
    lease = await store.claimed()
    await output.until("7-0 proving 0 %")
    await store.jobs.renew(lease, LEASE_MS, replace(HALF_DONE, expected_ms=None))
    await output.until("7-0 proving 50 %")
    await store.jobs.finish(lease, PROVEN, artefact=ARTEFACT)
    await output.until("7-0 proven 100 %")
    await store.confirm("7-0")
    lease = await store.stepped("7-settlement", RECORDED)
    await store.jobs.move(lease, SUBMITTED)
    await output.until("7-settlement submitted")
    await store.jobs.fail(lease, PROBLEM)
    await asyncio.wait_for(watch, SECONDS)
    assert "7-0 confirmed" in output.lines
    assert output.lines[-1] == f"7-settlement failed {PROBLEM.code} {PROBLEM.message}"
    assert len(set(output.lines)) == len(output.lines)


async def test_a_watch_stays_until_it_is_told_to_stop(store: Store) -> None:
    stopping = asyncio.Event()
    watch = asyncio.create_task(
        watch_by_line(Lines(), Lookout(store.jobs), stopping, until_idle=False)
    )
    assert not (await asyncio.wait({watch}, timeout=0.1))[0]
    stopping.set()
    await asyncio.wait_for(watch, SECONDS)


async def test_unfinished_jobs_come_first_then_the_newest_finished(store: Store) -> None:
    for session_id in (7, 8):
        await store.session(session_id)
        await store.prove_all()
        await store.confirm(f"{session_id}-0")
        store.clock.go(1)
    await store.session(9)
    look = await Lookout(store.jobs, store.clock).look()
    assert [view.job.id for view in look.views] == ["9-0", "8-0", "7-0"]
    assert not look.is_idle


async def test_a_backlog_hides_nothing_that_is_under_way(store: Store) -> None:
    await store.session(7, 2)
    lease = await store.claimed()
    await store.jobs.finish(lease, PROVEN, artefact=ARTEFACT)
    await store.claimed()
    store.clock.go(1)
    await store.session(8, MOST_ROWS + 1, due_at=1)
    look = await Lookout(store.jobs, store.clock).look()
    assert [view.job.id for view in look.open[:2]] == ["7-0", "7-1"]
    assert len(look.open) == MOST_ROWS + 2


async def test_a_job_that_goes_on_during_a_look_is_not_missed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.session(7)
    newest, leases = store.jobs.newest, list[Lease]()

    async def and_then_it_goes_on(
        limit: int, states: Collection[JobState] | None = None
    ) -> list[Job]:
        found = await newest(limit, states)
        if found and not leases:
            leases.append(await store.claimed())
        return found

    monkeypatch.setattr(store.jobs, "newest", and_then_it_goes_on)
    look = await Lookout(store.jobs, store.clock).look()
    assert [view.job.state for view in look.open] == [PROVING]


async def test_a_job_that_ends_is_seen_while_the_finished_ones_are_not_read_again(
    store: Store,
) -> None:
    await store.session(7)
    lookout = Lookout(store.jobs, store.clock)
    lookout._over._keep_seconds = 1000
    await lookout.look()
    await store.jobs.fail(await store.claimed(), PROBLEM)
    for _ in range(2):
        assert [view.job.id for view in (await lookout.look()).over] == ["7-0"]
    await store.jobs.retry("7-0")
    look = await lookout.look()
    assert ([view.job.id for view in look.open], look.over) == (["7-0"], ())


async def test_a_screen_shows_a_bar_for_each_proof(store: Store) -> None:
    await store.session(7, 2)
    lease = await store.claimed()
    await store.jobs.renew(lease, LEASE_MS, replace(HALF_DONE, expected_ms=None))
    await store.jobs.fail_unheld("7-1", PROBLEM)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, height=20, color_system=None)
    stopping = asyncio.Event()
    stopping.set()
    await watch_on_screen(console, Lookout(store.jobs, store.clock), stopping, until_idle=False)
    lines = screen.getvalue().splitlines()
    assert any("7-0" in line and "50 %" in line and "━" in line for line in lines)
    assert any("7-1" in line and "failed" in line and PROBLEM.code in line for line in lines)
    assert any("1 proving, 1 failed; the oldest open one is" in line for line in lines)


async def test_a_screen_has_no_more_rows_than_fit(store: Store) -> None:
    await store.session(7, 30)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, height=12, color_system=None)
    stopping = asyncio.Event()
    stopping.set()
    await watch_on_screen(console, Lookout(store.jobs, store.clock), stopping, until_idle=False)
    assert screen.getvalue().count("recorded ") <= 12
