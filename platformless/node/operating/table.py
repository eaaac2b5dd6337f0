"""The live table of jobs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...prover.ledger.job_states import OVER, JobState
from ...prover.ledger.job_values import JobCounts
from .as_text import attempts_text, due_text, duration, percent, state_text
from .views import JobView

HEADER_LINES = 6
"""Of a screen, for heading, counts and the prompt."""
_BAR_WIDTH = 20
_STYLES = {
    JobState.RECORDED: "",
    JobState.CONFIRMED: "green",
    JobState.FAILED: "bold red",
}
_UNDER_WAY = "cyan"
_LATE = "yellow"


def jobs_table(views: Sequence[JobView], counts: JobCounts, now_ms: int) -> Table:
    """A row for each job, and how many there are of each state."""
    table = Table(caption=counts_text(counts, now_ms), caption_justify="left", box=None)
    table.add_column("id", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("proof", min_width=_BAR_WIDTH + 6, no_wrap=True)
    for name in ("tokens", "age", "due in", "attempts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("device", no_wrap=True)
    table.add_column("error", no_wrap=True)
    for view in views:
        table.add_row(*_cells(view))
    return table


def counts_text(counts: JobCounts, now_ms: int) -> str:
    """Such as `2 recorded, 1 proving, 40 confirmed; the oldest open one is 4 min old`."""
    by_state: dict[JobState, int] = {}
    for (_, state), count in counts.by_state.items():
        by_state[state] = by_state.get(state, 0) + count
    parts = [f"{by_state[state]:,} {state.value}" for state in JobState if by_state.get(state)]
    text = ", ".join(parts) or "no jobs"
    is_open = any(state not in OVER for state in by_state)
    if counts.oldest_open_ms is None or not is_open:
        return text
    return f"{text}; the oldest open one is {duration((now_ms - counts.oldest_open_ms) / 1000)} old"


def _cells(view: JobView) -> list[RenderableType]:
    job = view.job
    style = _STYLES.get(job.state, _UNDER_WAY)
    return [
        job.id,
        Text(state_text(view), style=style),
        _bar(view),
        f"{job.tokens:,}",
        duration(view.age_seconds),
        Text(due_text(view), style=_LATE if view.is_late else ""),
        attempts_text(job),
        job.device or "",
        Text(job.problem.code if job.problem else "", style="red"),
    ]


def _bar(view: JobView) -> RenderableType:
    if view.progress is None:
        return Text("settlement", style="dim")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_BAR_WIDTH)
    grid.add_column(width=5, justify="right")
    grid.add_row(
        ProgressBar(total=1.0, completed=view.progress, width=_BAR_WIDTH), percent(view.progress)
    )
    return grid
