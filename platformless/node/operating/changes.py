"""What changed between two looks at the jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...prover.ledger.job_states import JobState
from .views import JobView

_STEPS = 10


@dataclass(frozen=True, slots=True)
class Mark:
    """What is told anew when it changes."""

    state: JobState
    tenths: int
    """Of the proof, as long as it is under way."""


Marks = Mapping[str, Mark]
"""By job."""


def mark_of(view: JobView) -> Mark:
    under_way = view.job.state is JobState.PROVING
    return Mark(view.job.state, int((view.progress or 0.0) * _STEPS) if under_way else 0)


def changes(seen: Marks, views: Iterable[JobView], since_ms: int) -> tuple[list[JobView], Marks]:
    """The jobs that a watcher has to tell of, the oldest change first, and the marks to compare
    with the next time.

    Args:
        since_ms: When the watch began. What ended before, and is seen only now, is no news.
    """
    told: list[JobView] = []
    marks: dict[str, Mark] = {}
    for view in views:
        mark = marks[view.job.id] = mark_of(view)
        before = seen.get(view.job.id)
        is_old = before is None and not view.is_open and view.job.changed_ms < since_ms
        if mark != before and not is_old:
            told.append(view)
    return sorted(told, key=lambda view: view.job.changed_ms), marks
