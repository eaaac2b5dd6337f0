"""The step `settle`: a session that is over is completed on chain, and the money is where it
belongs."""

from __future__ import annotations

import logging

from ...chain.connection import Chain
from ...chain.errors import ChainMoved, ContractRefused
from ...chain.marketplace import Marketplace
from ...chain.money import Amount
from ...chain.sending.sender import TransactionSender
from ...chain.session import Session, SessionStatus
from ...storage.cids import BlobId
from ...storage.publication import CheckpointPublisher
from ..broker.doorbell import Actor
from ..ledger.job_states import OVER, JobKind, JobState
from ..ledger.job_values import Job, Lease, Problem, Submission
from .context import StepContext
from .errors import EarlierProofFailed, ProofsUnfinished
from .transactions import send_once

log = logging.getLogger(__name__)
_OUTCOMES = {SessionStatus.COMPLETED: "completed", SessionStatus.TIMED_OUT: "timed out"}
_LOOK_AGAIN_SECONDS = 20


class Settling:
    """Settles sessions from the host's account."""

    def __init__(
        self,
        context: StepContext,
        chain: Chain,
        sender: TransactionSender,
        publisher: CheckpointPublisher,
    ) -> None:
        self._context = context
        self._publisher = publisher
        self._ledger = context.ledger
        self._chain = chain
        self._marketplace = Marketplace(chain)
        self._sender = sender

    async def settle(self, job_id: str) -> None:
        """Does nothing while proofs of the session are under way.

        Raises:
            LedgerError: what was done will be found done.
        """
        jobs = self._ledger.jobs
        job = await jobs.find(job_id)
        if job is None or job.kind is not JobKind.SETTLEMENT:
            return
        siblings = await self._checkpoints(job)
        failed = any(one.state is JobState.FAILED for one in siblings)
        if not failed and any(one.state not in OVER for one in siblings):
            return
        lease = await self._context.claim(
            job_id, Actor.SETTLE, JobState.RECORDED, JobState.SUBMITTED
        )
        if lease is None:
            return
        async with self._context.held(lease) as holding:
            session = await self._marketplace.session(job.session_id)
            siblings = await self._checkpoints(job)
            unproven = any(one.state is not JobState.CONFIRMED for one in siblings)
            if session.status is SessionStatus.ACTIVE and unproven:
                await self._give_up_proofs(session, siblings)
            told = await self._settled(lease, session, siblings)
            await holding.finish(JobState.CONFIRMED, submission=told)
            token = session.deposit.token
            log.info(
                "session %d is settled (%s): the host earns %s, the client gets back %s",
                job.session_id,
                told.outcome,
                Amount(int(told.host_earned or 0), token),
                Amount(int(told.refunded or 0), token),
                extra={
                    "outcome": told.outcome,
                    "host_earned": told.host_earned,
                    "refunded": told.refunded,
                    "token": told.token,
                    "transaction": told.transaction_hash,
                    "fee_wei": told.fee_wei,
                },
            )

    async def _checkpoints(self, job: Job) -> list[Job]:
        found = await self._ledger.jobs.of_sessions([job.session_id])
        return [one for one in found if one.kind is JobKind.CHECKPOINT]

    async def _give_up_proofs(self, session: Session, checkpoints: list[Job]) -> None:
        """Waits for a retry of what failed, as long as the session cannot be ended by others. Then
        what comes after a failed proof is given up as well.

        Raises:
            ProofsUnfinished: not yet.
        """
        now = (await self._chain.head()).timestamp
        patience_ends = session.times_out_at - round(self._context.rules.retry_margin_seconds)
        first = min(one.number for one in checkpoints if one.state is not JobState.CONFIRMED)
        has_failed = any(
            one.number == first and one.state is JobState.FAILED for one in checkpoints
        )
        if now < patience_ends or not has_failed:
            raise ProofsUnfinished(
                f"session {session.id} has a checkpoint without proof: {first}",
                wait_until=max(patience_ends, now + _LOOK_AGAIN_SECONDS),
            )
        for one in checkpoints:
            if one.state not in OVER:
                problem = EarlierProofFailed(
                    f"checkpoint {first} of session {session.id} has no proof"
                )
                await self._ledger.jobs.fail_unheld(one.id, Problem.of(problem))

    async def _settled(self, lease: Lease, session: Session, checkpoints: list[Job]) -> Submission:
        if session.status is not SessionStatus.ACTIVE:
            return self._told(session)
        conversation_cid = await self._conversation_cid(checkpoints)
        call = self._marketplace.complete(session.id, conversation_cid)
        key = f"settlement {session.id}"
        try:
            # A sample proof that is published meanwhile makes another index of it.
            confirmed = await send_once(
                self._context, lease, self._sender, key, call, first_stands=True
            )
        except ContractRefused as refusal:
            now = await self._marketplace.session(session.id)
            if now.status is not SessionStatus.ACTIVE:  # somebody else was faster
                return self._told(now)
            raise await self._marketplace.explain_completion(
                refusal, session.id, self._sender.address
            ) from refusal
        settled = await self._marketplace.session(session.id)
        if settled.status is SessionStatus.ACTIVE:
            raise ChainMoved(
                f"the endpoint does not know yet that session {session.id} is settled",
                expected="completed",
                got="active",
            )
        return self._told(
            settled,
            transaction_hash=confirmed.transaction_hash,
            block_number=confirmed.block_number,
            fee_wei=str(confirmed.fee.units),
        )

    async def _conversation_cid(self, checkpoints: list[Job]) -> str:
        """The newest index, which names everything that was published; or nothing. Sample proofs
        are not waited for: those that are published by then are in it."""
        if not any(one.state is JobState.CONFIRMED for one in checkpoints):
            return ""
        index = self._publisher.index(checkpoints[0].session_id)
        if index is not None:
            return str(BlobId.of(index.encode()))
        for one in reversed(checkpoints):
            if one.state is JobState.CONFIRMED:
                published = await self._ledger.jobs.submission(one.id)
                return published.index_cid or ""
        return ""

    def _told(
        self,
        session: Session,
        *,
        transaction_hash: str | None = None,
        block_number: int | None = None,
        fee_wei: str | None = None,
    ) -> Submission:
        return Submission(
            transaction_hash=transaction_hash,
            block_number=block_number,
            fee_wei=fee_wei,
            host_earned=str(session.paid_to_host.units),
            refunded=str(session.refunded.units),
            token=session.deposit.token.symbol,
            outcome=_OUTCOMES.get(session.status, "completed"),
            confirmed_ms=self._context.clock_ms(),
        )
