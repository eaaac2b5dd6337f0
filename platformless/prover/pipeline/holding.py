"""Holding a lease while a step works: renewed from a task of its own, and given back properly.

    async with held(jobs, lease, rules, clock_ms) as holding: ...

In the block `holding.progress` may be set; it is written with the next renewal. When the lease is
lost the block is cancelled, and `LeaseLost` is raised after it. An error is judged (verdicts.py):
the job is tried later or fails; a cancellation gives the job back as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine

from ..ledger.errors import LeaseLost, LedgerConflict, LedgerUnavailable
from ..ledger.job_values import Lease, Problem, ProofProgress
from ..ledger.jobs import Jobs
from .errors import DeadlineTooNear
from .rules import PipelineRules
from .verdicts import GiveUp, judge

log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 0.5


class Holding:
    """A lease, and how far the work is."""

    def __init__(self, jobs: Jobs, lease: Lease, rules: PipelineRules) -> None:
        self.lease = lease
        self.lost = False
        self._jobs = jobs
        self._rules = rules
        self._progress: ProofProgress | None = None
        self._news = asyncio.Event()

    def tell(self, progress: ProofProgress) -> None:
        """Is written soon."""
        self._progress = progress
        self._news.set()

    async def keep(self, working: asyncio.Task[object]) -> None:
        """Renews for ever; cancels the worker when the lease is another's."""
        every = self._rules.lease_seconds / 3
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self._news.wait()
            self._news.clear()
            try:
                lease_ms = round(self._rules.lease_seconds * 1000)
                await self._jobs.renew(self.lease, lease_ms, self._progress)
            except LeaseLost:
                self.lost = True
                working.cancel()
                return
            except (LedgerUnavailable, LedgerConflict) as error:
                log.warning("job %s: not renewed: %s", self.lease.job.id, error)
            await asyncio.sleep(min(_PROGRESS_SECONDS, every))


@contextlib.asynccontextmanager
async def held(
    jobs: Jobs, lease: Lease, rules: PipelineRules, clock_ms: Callable[[], int]
) -> AsyncIterator[Holding]:
    """See the module."""
    working = asyncio.current_task()
    if working is None:
        raise AssertionError("a step runs in a task")
    holding = Holding(jobs, lease, rules)
    keeping = asyncio.create_task(holding.keep(working))
    try:
        yield holding
    except asyncio.CancelledError:
        if holding.lost:
            working.uncancel()
            raise LeaseLost(f"job {lease.job.id} was taken over") from None
        await _told(jobs.release(lease), lease)
        raise
    except LeaseLost:
        raise
    except (LedgerUnavailable, LedgerConflict) as error:
        # Nothing can be written about it now. The lease ends by itself.
        log.warning("job %s: %s", lease.job.id, error)
        raise
    except DeadlineTooNear as error:
        log.warning("job %s: %s", lease.job.id, error)
        device = lease.job.device or "cpu"
        await _told(jobs.refuse(lease, device, Problem.of(error)), lease)
    except Exception as error:
        verdict = judge(error, lease.job, rules, clock_ms())
        problem = Problem.of(error)
        if isinstance(verdict, GiveUp):
            log.exception("job %s is given up: %s", lease.job.id, problem.code)
            await _told(jobs.fail(lease, problem), lease)
            return
        log.log(
            logging.INFO if verdict.is_foreseen else logging.WARNING,
            "job %s is tried again in %.1f s: %s %s",
            lease.job.id,
            verdict.rest_ms / 1000,
            problem.code,
            problem.message,
        )
        await _told(
            jobs.retry_later(lease, problem, verdict.rest_ms, cpu_next=verdict.cpu_next), lease
        )
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


async def _told(change: Coroutine[object, object, None], lease: Lease) -> None:
    """Writes what became of the step. When that fails too, the lease ends by itself."""
    try:
        await asyncio.shield(change)
    except (LeaseLost, LedgerUnavailable, LedgerConflict) as error:
        log.warning("job %s: %s", lease.job.id, error)
