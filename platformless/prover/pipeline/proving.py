"""The step `prove`: from a checkpoint in the ledger to a verified bundle in the ledger.

Needs no key of the host's, no storage and no chain: a machine with a GPU runs it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ...protocol.window import Window
from ..broker.doorbell import Actor, Doorbell
from ..ledger.job_states import JobKind, JobQueue, JobState
from ..ledger.job_values import Artefact, Job, ProofProgress, Worker
from ..ledger.ledger import Ledger
from ..messages import Executed, Progress
from .errors import DeadlineTooNear
from .holding import Holding, claimed, held
from .provers import Provers, WindowProver
from .rules import PipelineRules

log = logging.getLogger(__name__)
_PATIENCE = 5.0
"""A proof is stopped when it takes so many times longer than expected."""
_SHORTEST_DEADLINE_SECONDS = 120.0


class Proving:
    """Builds proofs, one for each call.

    Args:
        owner: Names this worker in leases.
    """

    def __init__(
        self,
        ledger: Ledger,
        doorbell: Doorbell,
        provers: Provers,
        rules: PipelineRules,
        owner: str,
        clock_ms: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._doorbell = doorbell
        self._provers = provers
        self._rules = rules
        self._worker = Worker(owner, provers.preferred, provers.has_cpu)
        self._clock_ms = clock_ms

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
                lease_ms=round(self._rules.lease_seconds * 1000),
                most_starts=self._rules.most_starts,
            ),
        )
        if lease is None:
            return
        job = lease.job
        async with held(jobs, lease, self._rules, self._clock_ms) as holding:
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

        deadline = self._rules.longest_proof_seconds
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
        left = job.due_at - self._clock_ms() / 1000
        device = job.device or self._worker.device
        if expected is None or job.is_late_for(device) or left <= 0:
            return expected
        needed = expected + self._rules.after_proof_seconds
        if needed > left:
            raise DeadlineTooNear(
                f"a proof on {device} would be too late for checkpoint {job.number}",
                expected=f"at most {left:.0f} s",
                got=f"{expected:.0f} s and {self._rules.after_proof_seconds:.0f} s to submit",
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
