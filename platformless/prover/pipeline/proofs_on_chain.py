"""Where the chain has the proof of a checkpoint."""

from __future__ import annotations

from ...chain.connection import Chain
from ...chain.errors import UnreadableAnswer
from ...chain.events import ProofSubmitted, SessionEvents
from ...chain.marketplace import Marketplace
from ..ledger.job_values import Job
from ..ledger.ledger import Ledger
from .errors import LedgerBehindChain


class ProofsOnChain:
    """Asks the chain about the place of a checkpoint's proof."""

    def __init__(self, ledger: Ledger, chain: Chain) -> None:
        self._ledger = ledger
        self._marketplace = Marketplace(chain)
        self._events = SessionEvents(chain)

    async def at(self, job: Job) -> ProofSubmitted | None:
        """The proof that is where this checkpoint's belongs; None when its tokens are not billed.

        Raises:
            LedgerBehindChain: when they are, in proofs of other lengths.
            ChainError, LedgerError
        """
        cut = await self._ledger.checkpoint(job.session_id, job.number)
        session = await self._marketplace.session(job.session_id)
        if session.tokens_proven <= cut.tokens_before:
            return None
        proofs = await self._events.proofs(session)
        if sum(event.tokens for event in proofs) != session.tokens_proven:
            raise UnreadableAnswer(
                f"the events of session {job.session_id} are not all there",
                expected=f"{session.tokens_proven} tokens",
                got=f"{len(proofs)} proofs",
            )
        lengths = [event.tokens for event in proofs[: job.number + 1]]
        if len(lengths) <= job.number or sum(lengths) != cut.tokens_after:
            raise LedgerBehindChain(
                f"the chain has other checkpoints of session {job.session_id}",
                expected=f"checkpoint {job.number} of {cut.tokens_before}:{cut.tokens_after}",
                got=f"{session.tokens_proven} tokens in {len(proofs)} proofs",
            )
        return proofs[job.number]
