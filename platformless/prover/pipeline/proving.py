"""The step `prove`: from a checkpoint in the ledger to a verified bundle in the ledger.

Needs no key of the host's, no storage and no chain: a machine with a GPU runs it.
"""

from __future__ import annotations

import logging

from ...protocol.window import Window
from ..broker.doorbell import Actor
from ..ledger.job_states import JobKind, JobQueue, JobState
from ..ledger.job_values import Artefact, Job, ProofProgress, Worker
from ..messages import Executed, Progress
from .context import StepContext
from .errors import DeadlineTooNear
from .holding import Holding, claimed
from .provers import Provers, WindowProver

log = logging.getLogger(__name__)
_PATIENCE = 5.0
"""A proof is stopped when it takes so many times longer than expected."""
_SHORTEST_DEADLINE_SECONDS = 120.0


class Proving:
    """Builds proofs, one for each call."""

    def __init__(self, context: StepContext, provers: Provers) -> None:
        self._context = context
        self._ledger = context.ledger
        self._doorbell = context.doorbell
        self._provers = provers
        self._worker = Worker(context.owner, provers.preferred, provers.has_cpu)

    async def prove(self, job_id: str) -> None:
        """Somebody rang for a job. What is begun is the most urgent job of its queue; that job's
        bell, if it was another's, then finds this one.

        Raises:
            LedgerError: nothing was done, or what was done is thrown away.
        """
        jobs = self._ledger.jobs
        rung = await jobs.find(job_id)
        if rung is None or rung.kind is not JobKind.CHECKPOINT:
            log.info("rung for %s, which is no proof of this ledger", job_id)
            return
        lease = await claimed(
            jobs,
            jobs.claim_proof(
                rung.queue,
                self._worker,
                lease_ms=self._context.rules.lease_ms,
                most_starts=self._context.rules.most_starts,
            ),
        )
        if lease is None:
            return
        job = lease.job
        async with self._context.held(lease) as holding:
            artefact = await self._build(job, holding)
            await holding.finish(JobState.PROVEN, artefact=artefact)
            log.info(
                "job %s: proven on %s in %.1f s, %d bytes",
                job.id,
                artefact.device,
                artefact.prove_ms / 1000,
                artefact.size_bytes,
            )
            await self._doorbell.ring(JobQueue.SETTLEMENT, Actor.PUBLISH, job.id)

    async def _build(self, job: Job, holding: Holding) -> Artefact:
        window = await self._ledger.window(job.session_id, job.number)
        acknowledgement = await self._ledger.acknowledgement(job.session_id, window.after.digest)
        prover = self._provers.on(job.device or self._worker.device)
        expected = await self._require_in_time(job, prover, window)
        expected_ms = None if expected is None else round(expected * 1000)

        def tell(progress: Progress) -> None:
            holding.tell(told(progress, expected_ms))

        deadline = self._context.rules.longest_proof_seconds
        if expected is not None:
            patient = max(_PATIENCE * expected, _SHORTEST_DEADLINE_SECONDS)
            deadline = min(deadline, patient)
        log.info("job %s: proving on %s, attempt %d", job.id, job.device, job.starts)
        return await prover.prove(
            window, acknowledgement, deadline_seconds=deadline, on_progress=tell
        )

    async def _require_in_time(
        self, job: Job, prover: WindowProver, window: Window
    ) -> float | None:
        """How long the proof should take. What is late anyway, or was refused by this device
        before and is its last choice now, is built all the same: the session may still be open.

        Raises:
            DeadlineTooNear
        """
        expected = await prover.expected_seconds(window)
        left = job.due_at - self._context.clock_ms() / 1000
        device = job.device or self._worker.device
        if expected is None or job.is_late_for(device) or left <= 0:
            return expected
        after = self._context.rules.after_proof_seconds
        if expected + after > left:
            raise DeadlineTooNear(
                f"a proof on {device} would be too late for checkpoint {job.number}",
                expected=f"at most {left:.0f} s",
                got=f"{expected:.0f} s and {after:.0f} s to submit",
            )
        return expected


def told(progress: Progress, expected_ms: int | None) -> ProofProgress:
    """What the prover said, as the ledger keeps it."""
    if isinstance(progress, Executed):
        execution = progress.execution
        return ProofProgress(
            cycles_total=execution.total_cycles,
            segments_total=execution.segments,
            expected_ms=expected_ms,
        )
    return ProofProgress(
        cycles_done=progress.cycles_done,
        cycles_total=progress.cycles_total,
        segments_done=progress.done,
        segments_total=progress.total,
        expected_ms=expected_ms,
    )
