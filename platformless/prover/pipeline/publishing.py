"""The step `publish`: bundle, delta and index go to storage, in the order of the checkpoints."""

from __future__ import annotations

import logging
from dataclasses import replace

from ...protocol.bundle import Bundle
from ...protocol.claim import SessionClaim
from ...protocol.digests import ProofHash
from ...storage.publication import Checkpoint, CheckpointPublisher
from ..broker.doorbell import Actor
from ..ledger.job_states import JobQueue, JobState
from ..ledger.job_values import Artefact, Submission, checkpoint_job
from .context import StepContext
from .errors import BundleMissing
from .taking_over import TakingOver

log = logging.getLogger(__name__)


class Publishing:
    """Publishes proven checkpoints."""

    def __init__(
        self, context: StepContext, publisher: CheckpointPublisher, taking_over: TakingOver
    ) -> None:
        self._context = context
        self._ledger = context.ledger
        self._doorbell = context.doorbell
        self._publisher = publisher
        self._taking_over = taking_over

    async def publish(self, job_id: str) -> None:
        """Does nothing when it is not this job's turn.

        Raises:
            LedgerError: what was done will be done again.
        """
        lease = await self._context.claim(job_id, Actor.PUBLISH, JobState.PROVEN)
        if lease is None:
            return
        job = lease.job
        async with self._context.held(lease) as holding:
            await self._taking_over.prepare(job)
            artefact = await self._artefact(job_id, job.session_id, job.number)
            bundle = artefact.bundle or b""
            cut = await self._ledger.checkpoint(job.session_id, job.number)
            binding = await self._ledger.binding(job.session_id)
            published = await self._publisher.publish(
                Checkpoint(
                    delta=replace(cut.delta, proof_hash=artefact.proof_hash),
                    bundle=bundle,
                    timestamp_ms=cut.at_ms,
                    recovery_key=binding.recovery_key if binding is not None else None,
                )
            )
            submission = Submission(
                proof_cid=published.proof_cid,
                delta_cid=published.delta_cid,
                index_cid=published.index_cid,
            )
            await holding.finish(JobState.PUBLISHED, artefact=artefact, submission=submission)
            log.info("job %s: published as %s", job_id, published.proof_cid)
            queue = JobQueue.SETTLEMENT
            await self._doorbell.ring(queue, Actor.SUBMIT, job_id)
            following = checkpoint_job(job.session_id, job.number + 1)
            await self._doorbell.ring(queue, Actor.PUBLISH, following)

    async def _artefact(self, job_id: str, session_id: int, number: int) -> Artefact:
        """What was published before, if anything was: it may be on chain already. Otherwise what
        was proven.

        Raises:
            BundleMissing
            BundleFormatError, ClaimFormatError: when what was prepared is no proof.
        """
        artefact = await self._ledger.jobs.artefact(job_id)
        prepared = self._publisher.prepared(session_id, number)
        if artefact is None or (prepared is None and artefact.bundle is None):
            raise BundleMissing(f"job {job_id} has no bundle", expected="one, in state proven")
        if prepared is None:
            return artefact
        proof_hash = ProofHash.of(prepared)
        if proof_hash != artefact.proof_hash:
            log.warning("job %s: another proof of it was prepared before, and is published", job_id)
        claim = SessionClaim.decode(Bundle.decode(prepared).journal)
        return replace(
            artefact,
            bundle=prepared,
            proof_hash=proof_hash,
            size_bytes=len(prepared),
            trace_root=None if claim.trace_root.is_zero else claim.trace_root,
        )
