"""The step `publish-sample`: a sample proof goes to storage, and into the session's index."""

from __future__ import annotations

import logging

from ...chain.connection import Chain
from ...protocol.bundle import Bundle
from ...protocol.claim import SessionClaim
from ...protocol.sample.claim import SampleClaim
from ...storage.publication import CheckpointPublisher
from ..broker.doorbell import Actor
from ..ledger.job_states import JobQueue, JobState
from ..ledger.job_values import Job, Submission
from .beacons import Beacons
from .context import StepContext
from .errors import BundleMissing, ForeignSample

log = logging.getLogger(__name__)


class SamplePublishing:
    """Publishes proofs of sampled cells beside their checkpoints."""

    def __init__(self, context: StepContext, chain: Chain, publisher: CheckpointPublisher) -> None:
        self._context = context
        self._beacons = Beacons(context, chain)
        self._publisher = publisher

    async def publish(self, job_id: str) -> None:
        """Publishes it; or has it proven again when the beacon is another block after all.

        Raises:
            BeaconNotThere: when the endpoint has not got that block, or not yet again.
            LedgerError: what was done will be done again.
        """
        lease = await self._context.claim(job_id, Actor.PUBLISH_SAMPLE, JobState.PROVEN)
        if lease is None:
            return
        job = lease.job
        async with self._context.held(lease) as holding:
            artefact = await self._context.jobs.artefact(job_id)
            if artefact is None or artefact.bundle is None:
                raise BundleMissing(f"job {job_id} has no bundle", expected="one, in state proven")
            claim = SampleClaim.decode(Bundle.decode(artefact.bundle).journal)
            self._require_of_checkpoint(job, claim)
            number, beacon = await self._beacons.of(job)
            if (claim.beacon_number, claim.beacon) != (number, beacon):
                log.warning("job %s: block %d draws its cells now", job_id, number)
                await holding.finish(JobState.RECORDED)
                await self._context.doorbell.ring(JobQueue.AUDIT, Actor.SAMPLE, job_id)
                return
            published = await self._publisher.publish_sample(
                job.session_id, job.number, artefact.bundle
            )
            submission = Submission(
                proof_cid=published.proof_cid,
                index_cid=published.index_cid,
                confirmed_ms=self._context.clock_ms(),
            )
            await holding.finish(JobState.CONFIRMED, submission=submission)
            log.info("job %s: sampled cells published as %s", job_id, published.proof_cid)

    def _require_of_checkpoint(self, job: Job, claim: SampleClaim) -> None:
        """Raises:
        ForeignSample: when the published checkpoint commits to another trace.
        """
        bundle = self._publisher.prepared(job.session_id, job.number)
        if bundle is None:
            raise BundleMissing(
                f"checkpoint {job.number} of session {job.session_id} was not published here"
            )
        checkpoint = SessionClaim.decode(Bundle.decode(bundle).journal)
        expected = (checkpoint.header_digest, checkpoint.state_after, checkpoint.trace_root)
        got = (claim.header_digest, claim.state_after, claim.trace_root)
        if got != expected:
            raise ForeignSample(
                f"sampled cells of another trace than checkpoint {job.number} commits to",
                expected=", ".join(map(str, expected)),
                got=", ".join(map(str, got)),
            )
