"""Failed jobs that are to be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ...prover.ledger.errors import JobUnknown, TransitionRefused
from ...prover.ledger.job_states import JobState
from ...prover.ledger.job_values import Job
from ...prover.ledger.jobs import Jobs

MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Refused:
    """A job that was not begun again, and why."""

    job_id: str
    error: JobUnknown | TransitionRefused


@dataclass(frozen=True, slots=True)
class RetryReport:
    """What became of each job that was asked for."""

    retried: tuple[Job, ...]
    """As they are now: where they failed, with their attempts counted anew."""
    refused: tuple[Refused, ...] = ()
    more: bool = False
    """Whether more jobs than are taken at once had failed."""


async def retry_jobs(jobs: Jobs, job_ids: Sequence[str]) -> RetryReport:
    """Each job by itself: one that is refused keeps no other from being tried again.

    Raises:
        LedgerUnavailable
    """
    answers = await asyncio.gather(*(_retry(jobs, job_id) for job_id in dict.fromkeys(job_ids)))
    return RetryReport(
        retried=tuple(answer for answer in answers if isinstance(answer, Job)),
        refused=tuple(answer for answer in answers if isinstance(answer, Refused)),
    )


async def retry_all_failed(jobs: Jobs) -> RetryReport:
    """Raises:
    LedgerUnavailable
    """
    failed = await jobs.newest(MOST_AT_ONCE, {JobState.FAILED})
    report = await retry_jobs(jobs, [job.id for job in failed])
    return RetryReport(report.retried, report.refused, more=len(failed) == MOST_AT_ONCE)


async def _retry(jobs: Jobs, job_id: str) -> Job | Refused:
    try:
        return await jobs.retry(job_id)
    except (JobUnknown, TransitionRefused) as error:
        return Refused(job_id, error)
