"""News of proofs for the clients that are connected: read from the ledger, told in frames.

Whoever proves, publishes or submits may be on another machine; the ledger is where all of them say
how far they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import PlatformlessError
from ...protocol.replies import CheckpointSubmitted, ProofProgress, ProofSubmitted, Reply
from ...prover.ledger.job_states import JobKind, JobState
from ...prover.ledger.job_values import Job
from ...prover.ledger.jobs import Jobs
from .sessions import Sessions

log = logging.getLogger(__name__)
_EVERY_SECONDS = 1.0
_PERCENT = 100
_ORDER = list(JobState)


@dataclass(frozen=True, slots=True)
class Told:
    """What a session's clients know of a job."""

    state: JobState
    percent: int

    @classmethod
    def of(cls, job: Job, now_ms: int) -> Told:
        """Percent of the proof."""
        if job.state is JobState.RECORDED:
            return cls(job.state, 0)
        if job.state is not JobState.PROVING:
            return cls(job.state, _PERCENT)
        return cls(job.state, int(_PERCENT * job.progress.fraction(now_ms - job.began_ms)))

    def has_passed(self, state: JobState) -> bool:
        """Whether the job has been in a state of the straight way."""
        return self.state is not JobState.FAILED and _ORDER.index(self.state) >= _ORDER.index(state)


class ProofNews:
    """Tells the sessions that are in use."""

    def __init__(self, jobs: Jobs, sessions: Sessions, clock_ms: Callable[[], int]) -> None:
        self._jobs = jobs
        self._sessions = sessions
        self._clock_ms = clock_ms
        self._told: dict[str, Told] = {}

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self.round()
            except PlatformlessError as error:
                log.warning("no news of proofs: %s", error)

    async def round(self) -> None:
        """Tells what has changed since the last round. Raises `LedgerUnavailable`."""
        jobs = await self._jobs.of_sessions(self._sessions.live())
        known, self._told = self._told, {}
        for job in jobs:
            if job.kind is not JobKind.CHECKPOINT:
                continue
            now = Told.of(job, self._clock_ms())
            before = known.get(job.id)
            self._told[job.id] = now
            if before == now:
                continue
            if before is None and job.state is JobState.CONFIRMED:
                continue  # of an earlier connection
            self._sessions.tell(job.session_id, self._progress(job, now))
            for frame in await self._milestones(job, before, now):
                self._sessions.tell(job.session_id, frame)

    async def _milestones(self, job: Job, before: Told | None, now: Told) -> list[Reply]:
        """The frames that the existing client knows."""

        def reached(state: JobState) -> bool:
            return now.has_passed(state) and not (before is not None and before.has_passed(state))

        seconds = self._clock_ms() // 1000
        frames: list[Reply] = []
        if reached(JobState.PUBLISHED):
            frames.append(
                CheckpointSubmitted(
                    session_id=str(job.session_id),
                    checkpoint_index=job.number,
                    timestamp=seconds,
                )
            )
        if reached(JobState.CONFIRMED) and (artefact := await self._jobs.artefact(job.id)):
            frames.append(
                ProofSubmitted(
                    session_id=str(job.session_id),
                    proof_id=str(artefact.proof_hash),
                    size_bytes=artefact.size_bytes,
                    timestamp=seconds,
                )
            )
        return frames

    def _progress(self, job: Job, now: Told) -> ProofProgress:
        return ProofProgress(
            session_id=str(job.session_id),
            checkpoint=job.number,
            state=now.state.value,
            percent=now.percent,
            segments_done=job.progress.segments_done,
            segments=job.progress.segments_total,
            problem=job.problem.code if job.problem is not None else None,
        )
