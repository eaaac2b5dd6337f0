"""`fabstir-llm-node jobs watch`: the jobs as they go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from ...console import Output, stop_requested
from ...prover.ledger.job_states import OPEN, OVER, JobState
from ...prover.ledger.job_values import JobCounts
from ...prover.ledger.jobs import Jobs, clock_ms
from .as_text import percent, state_text
from .changes import Marks, changes
from .opening import operators_ledger
from .paced import Paced
from .table import HEADER_LINES, jobs_table
from .views import JobView, newest_views, view_of

REFRESH_SECONDS = 0.5
COUNT_SECONDS = 5.0
MOST_ROWS = 200
_GROUPS = (
    {JobState.SUBMITTED},
    {JobState.PUBLISHED},
    {JobState.PROVEN},
    {JobState.PROVING},
    {JobState.RECORDED},
)
"""Of unfinished jobs, as they stand above each other: those further on are nearer to their end."""


@dataclass(frozen=True, slots=True)
class Look:
    """The jobs at a moment: the unfinished ones, up to `MOST_ROWS` of each group, and the newest
    finished."""

    at_ms: int
    open: tuple[JobView, ...]
    over: tuple[JobView, ...]
    counts: JobCounts

    @property
    def is_idle(self) -> bool:
        return not self.open

    @property
    def views(self) -> tuple[JobView, ...]:
        """The unfinished ones first."""
        return self.open + self.over


class Lookout:
    """Looks at the jobs again and again. The newest finished ones and the counts cost more, the
    more jobs there are: they may be older than the rest."""

    def __init__(self, jobs: Jobs, clock_ms: Callable[[], int] = clock_ms) -> None:
        self._jobs = jobs
        self._clock_ms = clock_ms
        self._counts = Paced(jobs.counts, COUNT_SECONDS)
        self._over = Paced(lambda: newest_views(jobs, clock_ms(), MOST_ROWS, OVER), 0.0)
        self._watched: dict[str, JobView] = {}
        """Unfinished at the last look."""
        self._ended: dict[str, JobView] = {}
        """Seen to end; possibly not among the newest finished ones yet."""

    async def look(self) -> Look:
        """Raises:
        LedgerUnavailable
        """
        now_ms = self._clock_ms()
        unfinished = await self._unfinished(now_ms)
        by_id = {view.job.id: view for view in unfinished}
        for job_id in self._watched.keys() - by_id.keys():
            job = await self._jobs.find(job_id)
            if job is not None and job.state in OVER:
                self._ended[job_id] = view_of(job, now_ms)
        self._watched = by_id
        newest = {view.job.id: view for view in await self._over.answer()}
        ended = {job_id: view for job_id, view in self._ended.items() if job_id not in newest}
        self._ended = dict(list(ended.items())[-MOST_ROWS:])
        over = [view for job_id, view in (ended | newest).items() if job_id not in by_id]
        over.sort(key=lambda view: view.job.changed_ms, reverse=True)
        return Look(now_ms, tuple(unfinished), tuple(over[:MOST_ROWS]), await self._counts.answer())

    async def _unfinished(self, now_ms: int) -> list[JobView]:
        """Group by group, so that no backlog hides what is under way; the most urgent first."""
        found: dict[str, tuple[int, JobView]] = {}
        # From the back: a job that goes on between two questions is found again, not missed.
        for rank in reversed(range(len(_GROUPS))):
            for view in await newest_views(self._jobs, now_ms, MOST_ROWS, _GROUPS[rank]):
                found[view.job.id] = rank, view
        if not found:  # one that fell back meanwhile is still open
            last_one = await newest_views(self._jobs, now_ms, 1, OPEN)
            found = {view.job.id: (0, view) for view in last_one}
        ranked = sorted(found.values(), key=lambda it: (it[0], it[1].job.due_at, it[1].job.number))
        return [view for _, view in ranked]


def watch_jobs(output: Output, env_file: Path, until_idle: bool) -> None:
    """Shows the jobs until SIGINT or SIGTERM: as a table that is renewed, or line by line where
    nobody sees a screen.

    Args:
        until_idle: Ends as soon as no job is open.

    Raises:
        SettingsError, OperatingError, LedgerError
    """
    asyncio.run(_run(output, env_file, until_idle))


async def _run(output: Output, env_file: Path, until_idle: bool) -> None:
    stopping = stop_requested()
    async with operators_ledger(output, env_file) as ledger:
        lookout = Lookout(ledger.jobs)
        if output.console.is_terminal:
            await watch_on_screen(Console(highlight=False), lookout, stopping, until_idle)
        else:
            await watch_by_line(output, lookout, stopping, until_idle)


async def watch_on_screen(
    console: Console, lookout: Lookout, stopping: asyncio.Event, until_idle: bool
) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            look = await lookout.look()
            rows = max(1, console.height - HEADER_LINES)
            live.update(jobs_table(look.views[:rows], look.counts, look.at_ms), refresh=True)
            if (until_idle and look.is_idle) or await _stopped(stopping):
                return


async def watch_by_line(
    output: Output, lookout: Lookout, stopping: asyncio.Event, until_idle: bool
) -> None:
    """A line for each change of a job's state, and for each tenth of its proof."""
    marks: Marks = {}
    since_ms: int | None = None
    while True:
        look = await lookout.look()
        since_ms = look.at_ms if since_ms is None else since_ms
        told, marks = changes(marks, look.views, since_ms)
        for view in told:
            output.line(escape(change_line(view, look.at_ms)))
        if (until_idle and look.is_idle) or await _stopped(stopping):
            return


def change_line(view: JobView, at_ms: int) -> str:
    """Such as `12:30:05 7-0 proving 40 %`."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")
    parts = [at, view.job.id, state_text(view)]
    if view.is_open and view.progress is not None:
        parts.append(percent(view.progress))
    if view.job.problem is not None:
        parts.append(f"{view.job.problem.code} {view.job.problem.message}")
    return " ".join(parts)


async def _stopped(stopping: asyncio.Event) -> bool:
    """Waits for the next look, or until one is to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REFRESH_SECONDS):
            await stopping.wait()
    return stopping.is_set()
