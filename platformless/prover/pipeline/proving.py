"""The step `prove`: from a checkpoint in the ledger to a verified bundle in the ledger.

Needs no key of the host's, no storage and no chain: a machine with a GPU runs it. With the model it
traces what the model computed, and the proven claim commits to that.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from ...audit.policy import CHECKED_IF_PRESENT
from ...engine.errors import EngineError
from ...protocol.acknowledgement import AcknowledgementSignature
from ...protocol.bundle import Bundle
from ...protocol.digests import ProofHash, TraceRoot
from ...protocol.sample.context import Context
from ...protocol.window import Window
from ..broker.doorbell import Actor
from ..ledger.job_states import JobKind, JobQueue, JobState
from ..ledger.job_values import Artefact, Job, Problem, ProofProgress, Worker
from ..messages import Executed, Progress
from .context import StepContext
from .errors import DeadlineTooNear, PipelineError, TraceNotRisked, TraceTooLate
from .holding import Holding
from .provers import Provers, WindowProver

if TYPE_CHECKING:
    from .tracing import Tracer

log = logging.getLogger(__name__)
_PATIENCE = 5.0
"""A proof is stopped when it takes so many times longer than expected."""
_SHORTEST_DEADLINE_SECONDS = 120.0
_MOST_TRACED_STARTS = 2
"""A trace runs in this process and could end it: the other starts are the proof's."""


class Proving:
    """Builds proofs, one for each call.

    Args:
        tracer: Of a worker whose claims commit to traces.
    """

    def __init__(
        self, context: StepContext, provers: Provers, tracer: Tracer | None = None
    ) -> None:
        self._context = context
        self._tracer = tracer
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
        lease = await self._context.claim_proof(rung.queue, self._worker)
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
        root, problem = await self._traced(job, expected or 0.0)
        if root is not None:
            window = replace(window, trace_root=root)
        log.info("job %s: proving on %s, attempt %d", job.id, job.device, job.starts)
        artefact = await prover.prove(
            window, acknowledgement, deadline_seconds=deadline, on_progress=tell
        )
        if acknowledgement is None:  # the client may have signed meanwhile
            late = await self._ledger.acknowledgement(job.session_id, window.after.digest)
            if late is not None:
                artefact = _acknowledged(artefact, window, late)
        return replace(artefact, trace_root=root, trace_problem=problem)

    async def _traced(
        self, job: Job, proof_seconds: float
    ) -> tuple[TraceRoot | None, Problem | None]:
        """The root of the checkpoint's trace, or why there is none. Payment waits for the proof:
        it is made without a trace when there is no time for one, or when none can be made."""
        if self._tracer is None:
            return None, None
        most = min(_MOST_TRACED_STARTS, self._context.rules.most_starts - 1)
        if job.starts > most:
            problem = TraceNotRisked(
                f"checkpoint {job.number} is proven without a trace",
                expected=f"at most {most} starts",
                got=job.starts,
            )
            return None, Problem.of(problem)
        left = job.due_at - self._context.clock_ms() / 1000
        left -= proof_seconds + self._context.rules.after_proof_seconds
        context = await self._ledger.context(job.session_id, job.number)
        try:
            root = await self._root_in_time(job, self._tracer, context, left)
        except (EngineError, PipelineError) as error:
            log.warning("job %s: not traced: %s", job.id, error)
            return None, Problem.of(error)
        log.info("job %s: traced, %d tokens", job.id, len(context.tokens))
        return root, None

    async def _root_in_time(
        self, job: Job, tracer: Tracer, context: Context, left: float
    ) -> TraceRoot:
        """Args:
            left: Seconds that are left for a trace.

        Raises:
            TraceTooLate: before it is begun, or when it takes longer than was thought.
        """
        needed = tracer.expected_seconds(len(context.tokens))
        late = f"checkpoint {job.number} is proven without a trace"
        expected = f"at most {left:.0f} s for it"
        if needed > left:
            raise TraceTooLate(late, expected=expected, got=f"{needed:.0f} s")
        try:
            async with asyncio.timeout(left) as limit:
                return await tracer.root(context)
        except TimeoutError as error:
            if not limit.expired():
                raise
            got = f"stopped then, thought to take {needed:.0f} s"
            raise TraceTooLate(late, expected=expected, got=got) from error

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


def _acknowledged(
    artefact: Artefact, window: Window, signature: AcknowledgementSignature
) -> Artefact:
    """With the client's signature, which stands beside the proof in the bundle.

    Raises:
        Rejection: when it is not the client's.
    """
    CHECKED_IF_PRESENT.verify(window.claim(), signature)
    bundle = Bundle.decode(artefact.bundle or b"")
    data = msgspec.structs.replace(bundle, acknowledgement=signature.value).encode()
    return replace(artefact, bundle=data, proof_hash=ProofHash.of(data), size_bytes=len(data))


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
