"""The step `sample`: cells of a confirmed checkpoint's trace, drawn by the beacon, proven.

Needs the model and an RPC endpoint; no key of the host's, no storage. Which cells, and whether the
checkpoint is drawn at all, follows from a block that came after its submission.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ...chain.connection import Chain
from ...protocol.sample.beacon import is_drawn
from ..broker.doorbell import Actor
from ..ledger.job_states import JobKind, JobQueue, JobState
from ..ledger.job_values import Artefact, Job, Submission, Worker, checkpoint_job
from ..messages import Progress
from ..sample import PlanOf, even_plan
from ..throughput import expected_throughput
from .beacons import Beacons
from .context import StepContext
from .errors import BundleMissing
from .holding import Holding
from .provers import Provers
from .proving import told
from .tracing import Tracer

log = logging.getLogger(__name__)
NOT_DRAWN = "not drawn"


class SampleProving:
    """Builds proofs of sampled cells, one for each call.

    Args:
        plan_of: Which cells are drawn, by the number of positions; those of the rules by default.
    """

    def __init__(
        self,
        context: StepContext,
        chain: Chain,
        provers: Provers,
        tracer: Tracer,
        plan_of: PlanOf | None = None,
    ) -> None:
        self._context = context
        self._ledger = context.ledger
        self._beacons = Beacons(context, chain)
        self._provers = provers
        self._tracer = tracer
        self._plan_of = plan_of or even_plan(context.rules.sample_draws)
        self._worker = Worker(context.owner, provers.preferred, provers.has_cpu)

    async def prove(self, job_id: str) -> None:
        """Somebody rang; what is begun is the most urgent sample.

        Raises:
            LedgerError: nothing was done, or what was done is thrown away.
        """
        rung = await self._ledger.jobs.find(job_id)
        if rung is None or rung.kind is not JobKind.SAMPLE:
            log.info("rung for %s, which is no sample of this ledger", job_id)
            return
        lease = await self._context.claim_proof(JobQueue.AUDIT, self._worker)
        if lease is None:
            return
        job = lease.job
        async with self._context.held(lease) as holding:
            artefact = await self._build(job, holding)
            if artefact is None:
                log.info("job %s: the beacon did not draw this checkpoint", job.id)
                submission = Submission(outcome=NOT_DRAWN, confirmed_ms=self._context.clock_ms())
                await holding.finish(JobState.CONFIRMED, submission=submission)
                return
            await holding.finish(JobState.PROVEN, artefact=artefact)
            log.info(
                "job %s: sampled cells proven on %s in %.1f s",
                job.id,
                artefact.device,
                artefact.prove_ms / 1000,
            )
            doorbell = self._context.doorbell
            await doorbell.ring(JobQueue.SETTLEMENT, Actor.PUBLISH_SAMPLE, job.id)

    async def _build(self, job: Job, holding: Holding) -> Artefact | None:
        """None when nothing is asked for."""
        checkpoint = checkpoint_job(job.session_id, job.number)
        artefact = await self._ledger.jobs.artefact(checkpoint)
        if artefact is None or artefact.trace_root is None:
            raise BundleMissing(f"job {checkpoint} has no trace", expected="its root")
        root = artefact.trace_root
        number, beacon = await self._beacons.of(job)
        context = await self._ledger.context(job.session_id, job.number)
        if not is_drawn(root, context.after.digest, beacon, self._context.rules.sample_one_in):
            return None
        log.info("job %s: sampling with block %d, attempt %d", job.id, number, job.starts)
        sampling = self._tracer.sampling(context, root, number, beacon, self._plan_of)
        witness = await self._tracer.witness(sampling)
        device = job.device or self._worker.device
        return await self._provers.on(device).prove_sample(
            sampling,
            witness,
            deadline_seconds=self._context.rules.longest_sample_seconds,
            on_progress=_telling(holding, device),
        )


def _telling(holding: Holding, device: str) -> Callable[[Progress], None]:
    """Writes progress; what the whole takes is known once the cycles are."""
    speed = expected_throughput(device)

    def tell(progress: Progress) -> None:
        now = told(progress, None)
        expected = speed.seconds(now.cycles_total) if speed is not None else None
        holding.tell(told(progress, None if expected is None else round(expected * 1000)))

    return tell
