"""Jobs as an operator sees them: with what only the clock tells, such as age and progress."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ...prover.ledger.job_reading import LONGEST_LEASE_MS
from ...prover.ledger.job_states import OVER, JobKind, JobState
from ...prover.ledger.job_values import Artefact, Attempt, Job, Submission
from ...prover.ledger.jobs import Jobs

_MS = 1000
_AFTER_PROOF = frozenset(
    {JobState.PROVEN, JobState.PUBLISHED, JobState.SUBMITTED, JobState.CONFIRMED}
)
"""The states of unfinished jobs."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job at a moment."""

    job: Job
    age_seconds: float
    due_in_seconds: float
    """Below zero when the session may be ended on chain without it already."""
    progress: float | None
    """Of its proof, from 0 to 1; None for a settlement."""
    is_held: bool
    """Whether somebody works on it."""

    @property
    def is_open(self) -> bool:
        return self.job.state not in OVER

    @property
    def is_late(self) -> bool:
        return self.is_open and self.due_in_seconds < 0


@dataclass(frozen=True, slots=True)
class JobDetail:
    """Everything that the ledger has of a job."""

    view: JobView
    attempts: tuple[Attempt, ...]
    artefact: Artefact | None
    submission: Submission


def view_of(job: Job, now_ms: int) -> JobView:
    """A job as it is at a moment."""
    is_held = job.owner is not None and now_ms < job.lease_until_ms <= now_ms + LONGEST_LEASE_MS
    return JobView(
        job=job,
        age_seconds=max(0, now_ms - job.created_ms) / _MS,
        due_in_seconds=job.due_at - now_ms / _MS,
        progress=_progress(job, now_ms - job.began_ms if is_held else 0),
        is_held=is_held,
    )


def _progress(job: Job, elapsed_ms: int) -> float | None:
    if job.kind is JobKind.SETTLEMENT:
        return None
    state = job.failed_from if job.state is JobState.FAILED else job.state
    if state in _AFTER_PROOF:
        return 1.0
    if job.state is not JobState.PROVING:
        return 0.0
    return min(1.0, job.progress.fraction(max(0, elapsed_ms)))


async def newest_views(
    jobs: Jobs, now_ms: int, limit: int, states: Collection[JobState] | None = None
) -> list[JobView]:
    """The newest jobs in some states, first the newest.

    Raises:
        LedgerUnavailable
    """
    return [view_of(job, now_ms) for job in await jobs.newest(limit, states)]


async def job_detail(jobs: Jobs, now_ms: int, job_id: str) -> JobDetail:
    """Everything about a job.

    Raises:
        LedgerUnavailable
        JobUnknown
    """
    return JobDetail(
        view=view_of(await jobs.job(job_id), now_ms),
        attempts=tuple(await jobs.attempts(job_id)),
        artefact=await jobs.artefact(job_id),
        submission=await jobs.submission(job_id),
    )
