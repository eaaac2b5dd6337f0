"""Holding a lease while a step works: renewed from a task of its own, and given back properly.

    lease = await claimed(jobs, jobs.claim_step(...))
    async with held(jobs, lease, rules, clock_ms) as holding: ...

The block ends the lease with `holding.finish`. When the lease is lost the block is cancelled, and
`LeaseLost` is raised after it. An error is judged (verdicts.py): the job is tried later or fails; a
cancellation gives the job back as it was. What comes after `finish` changes nothing of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine

from ..ledger.errors import LeaseLost, LedgerConflict, LedgerUnavailable
from ..ledger.job_states import JobState
from ..ledger.job_values import Artefact, Lease, Problem, ProofProgress, Submission
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
        self.finished = False
        self._jobs = jobs
        self._rules = rules
        self._progress: ProofProgress | None = None
        self._news = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    def tell(self, progress: ProofProgress) -> None:
        """Is written soon."""
        self._progress = progress
        self._news.set()

    async def finish(
        self,
        state: JobState,
        *,
        artefact: Artefact | None = None,
        submission: Submission | None = None,
    ) -> None:
        """The step is done: a new state, and the lease is over. It is not renewed any more, so that
        its end is not taken for its loss.

        Raises:
            LeaseLost, LedgerUnavailable
        """
        self.end_keeping()
        await self._jobs.finish(self.lease, state, artefact=artefact, submission=submission)
        self.finished = True

    def begin_keeping(self, working: asyncio.Task[object]) -> None:
        self._keeping = asyncio.create_task(self._keep(working))

    async def stop_keeping(self) -> None:
        """Returns when nothing is renewed any more."""
        self.end_keeping()
        if self._keeping is not None:
            await asyncio.wait({self._keeping})

    def end_keeping(self) -> None:
        """From now on the lease is not renewed, and nobody is told of its loss."""
        if self._keeping is not None:
            self._keeping.cancel()

    async def _keep(self, working: asyncio.Task[object]) -> None:
        """Renews for ever; cancels the worker when the lease is another's."""
        every = self._rules.lease_seconds / 3
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self._news.wait()
            self._news.clear()
            try:
                await self._jobs.renew(self.lease, self._rules.lease_ms, self._progress)
            except LeaseLost:
                self.lost = True
                working.cancel()
                return
            except (LedgerUnavailable, LedgerConflict) as error:
                log.warning("job %s: not renewed: %s", self.lease.job.id, error)
            await asyncio.sleep(min(_PROGRESS_SECONDS, every))


async def claimed(jobs: Jobs, claim: Coroutine[object, object, Lease | None]) -> Lease | None:
    """Takes a lease. The ledger may give one to a step that is cancelled meanwhile: it is given
    back then, and the start does not count."""
    claiming = asyncio.ensure_future(claim)
    try:
        return await asyncio.shield(claiming)
    except asyncio.CancelledError:
        with contextlib.suppress(LedgerUnavailable, LedgerConflict):
            lease = await claiming
            if lease is not None:
                await _told(jobs.release(lease), lease)
        raise


@contextlib.asynccontextmanager
async def held(
    jobs: Jobs, lease: Lease, rules: PipelineRules, clock_ms: Callable[[], int]
) -> AsyncIterator[Holding]:
    """See the module."""
    working = asyncio.current_task()
    if working is None:
        raise AssertionError("a step runs in a task")
    holding = Holding(jobs, lease, rules)
    holding.begin_keeping(working)
    try:
        try:
            yield holding
        finally:
            holding.end_keeping()  # what is written now ends the lease: that is no loss
    except asyncio.CancelledError:
        if holding.lost:
            working.uncancel()
            raise LeaseLost(f"job {lease.job.id} was taken over") from None
        if not holding.finished:
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
        if holding.finished:
            log.warning("job %s is done; what follows from it was not: %s", lease.job.id, error)
            return
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
        later = jobs.retry_later(
            lease,
            problem,
            verdict.rest_ms,
            cpu_next=verdict.cpu_next,
            is_foreseen=verdict.is_foreseen,
        )
        await _told(later, lease)
    finally:
        await holding.stop_keeping()


async def _told(change: Coroutine[object, object, None], lease: Lease) -> None:
    """Writes what became of the step. When that fails too, the lease ends by itself."""
    try:
        await asyncio.shield(change)
    except (LeaseLost, LedgerUnavailable, LedgerConflict) as error:
        log.warning("job %s: %s", lease.job.id, error)
