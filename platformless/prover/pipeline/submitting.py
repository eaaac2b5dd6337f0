"""The step `submit`: a published checkpoint's proof goes on chain, and is read back from there.

A session's checkpoints are submitted in their order, each when the one before is confirmed.
"""

from __future__ import annotations

import logging

from ...chain.connection import Chain
from ...chain.errors import ChainMoved, ContractRefused
from ...chain.events import ProofSubmitted, SessionEvents, proof_submitted_in
from ...chain.marketplace import Marketplace
from ...chain.refusals import FirstClaimTooSmall
from ...chain.sending.sender import TransactionSender
from ...chain.session import ProofSubmission
from ..broker.doorbell import Actor, actor_for
from ..ledger.job_states import JobKind, JobQueue, JobState
from ..ledger.job_values import Job, Lease, Submission, checkpoint_job, settlement_job
from .context import StepContext
from .errors import BundleMissing, LedgerBehindChain, NotAsSubmitted
from .proofs_on_chain import ProofsOnChain
from .transactions import send_once

log = logging.getLogger(__name__)


class Submitting:
    """Submits proofs from the host's account."""

    def __init__(self, context: StepContext, chain: Chain, sender: TransactionSender) -> None:
        self._context = context
        self._ledger = context.ledger
        self._doorbell = context.doorbell
        self._chain = chain
        self._marketplace = Marketplace(chain)
        self._sender = sender
        self._proofs = ProofsOnChain(context.ledger, chain)

    async def submit(self, job_id: str) -> None:
        """Does nothing when it is not this job's turn.

        Raises:
            LedgerError: what was done will be found done.
        """
        lease = await self._context.claim(
            job_id, Actor.SUBMIT, JobState.PUBLISHED, JobState.SUBMITTED
        )
        if lease is None:
            return
        async with self._context.held(lease) as holding:
            submission = await self._submission(lease.job)
            await self._require_unbilled(lease.job, submission)
            told = await self._confirmed(lease, submission)
            await holding.finish(JobState.CONFIRMED, submission=told)
            log.info(
                "job %s: confirmed in block %s, %d tokens",
                job_id,
                told.block_number,
                submission.tokens,
                extra={
                    "transaction": told.transaction_hash,
                    "block": told.block_number,
                    "fee_wei": told.fee_wei,
                    "tokens": submission.tokens,
                },
            )
            await self._after(lease.job)

    async def _submission(self, job: Job) -> ProofSubmission:
        artefact = await self._ledger.jobs.artefact(job.id)
        published = await self._ledger.jobs.submission(job.id)
        if artefact is None or published.proof_cid is None or published.delta_cid is None:
            raise BundleMissing(f"job {job.id} was not published", expected="its CIDs")
        return ProofSubmission(
            session_id=job.session_id,
            tokens=job.tokens,
            proof_hash=artefact.proof_hash,
            proof_cid=published.proof_cid,
            delta_cid=published.delta_cid,
        )

    async def _require_unbilled(self, job: Job, submission: ProofSubmission) -> None:
        """The chain does not count these tokens yet, or by this very proof.

        Raises:
            LedgerBehindChain
            ChainMoved: when the endpoint does not know the checkpoint before, which is confirmed.
        """
        event = await self._proofs.at(job, follows_confirmed=True)
        if event is not None and event.proof_hash != submission.proof_hash:
            raise LedgerBehindChain(
                f"the chain has another proof of checkpoint {job.number}",
                expected=submission.proof_hash,
                got=event.proof_hash,
            )

    async def _confirmed(self, lease: Lease, submission: ProofSubmission) -> Submission:
        """Sends, waits, and compares what the chain then says.

        Raises:
            ContractRefused: judged by the session's state, and not because the proof is there.
            ChainMoved: when the endpoint is behind what is known to be final.
            NotAsSubmitted
        """
        key = f"proof {lease.job.id} {submission.proof_hash.value.hex()}"
        try:
            call = self._marketplace.submit_proof(submission)
            confirmed = await send_once(self._context, lease, self._sender, key, call)
        except ContractRefused as refusal:
            event = await self._on_chain(submission)
            if event is None:
                explained = await self._marketplace.explain_submission(
                    refusal, submission, self._sender.address
                )
                if lease.job.number and isinstance(explained, FirstClaimTooSmall):
                    raise ChainMoved(
                        "the endpoint does not know the checkpoint before", got=explained
                    ) from refusal
                raise explained from refusal
            log.info("job %s: its proof is on chain already", lease.job.id)
            _require_same(event, submission)
            return self._told(event, None)
        receipt = await self._chain.receipt(confirmed.transaction_hash)
        if receipt is None:
            raise ChainMoved(
                "the endpoint has not got a transaction that is final",
                expected=confirmed.transaction_hash,
                got="none",
            )
        try:
            event = proof_submitted_in(receipt.logs)
        except LookupError as error:
            raise NotAsSubmitted(
                f"transaction {confirmed.transaction_hash} submitted no proof"
            ) from error
        _require_same(event, submission)
        return self._told(event, str(confirmed.fee.units))

    async def _on_chain(self, submission: ProofSubmission) -> ProofSubmitted | None:
        """The proof, when it is there although this process knows of no transaction."""
        session = await self._marketplace.session(submission.session_id)
        for event in await SessionEvents(self._chain).proofs(session):
            if event.proof_hash == submission.proof_hash:
                return event
        return None

    def _told(self, event: ProofSubmitted, fee_wei: str | None) -> Submission:
        return Submission(
            transaction_hash=event.place.transaction_hash,
            block_number=event.place.block_number,
            fee_wei=fee_wei,
            confirmed_ms=self._context.clock_ms(),
        )

    async def _after(self, job: Job) -> None:
        """What this proof has made possible."""
        jobs = self._ledger.jobs
        session = await self._marketplace.session(job.session_id)
        await jobs.set_due(job.session_id, session.times_out_at)
        following = await jobs.find(checkpoint_job(job.session_id, job.number + 1))
        queue = JobQueue.SETTLEMENT
        if following is None:
            await self._doorbell.ring(queue, Actor.SETTLE, settlement_job(job.session_id))
        elif following.state in (JobState.PROVEN, JobState.PUBLISHED, JobState.SUBMITTED):
            actor = actor_for(JobKind.CHECKPOINT, following.state)
            await self._doorbell.ring(queue, actor, following.id)


def _require_same(event: ProofSubmitted, sent: ProofSubmission) -> None:
    """Raises:
    NotAsSubmitted
    """
    got = (event.session_id, event.tokens, event.proof_hash, event.proof_cid, event.delta_cid)
    expected = (sent.session_id, sent.tokens, sent.proof_hash, sent.proof_cid, sent.delta_cid)
    if got != expected:
        raise NotAsSubmitted(
            "the chain has another proof than was sent",
            expected=", ".join(map(str, expected)),
            got=", ".join(map(str, got)),
        )
