"""Where the chain has the proof of a checkpoint."""

from __future__ import annotations

from ...chain.connection import Chain
from ...chain.errors import ChainMoved, UnreadableAnswer
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

    async def at(self, job: Job, *, follows_confirmed: bool = False) -> ProofSubmitted | None:
        """The proof that is where this checkpoint's belongs; None when its tokens are not billed.

        Args:
            follows_confirmed: The checkpoint before is known to be final.

        Raises:
            LedgerBehindChain: when they are, in proofs of other lengths.
            ChainMoved: when the endpoint is behind the checkpoint before.
            ChainError, LedgerError
        """
        cut = await self._ledger.checkpoint(job.session_id, job.number)
        session = await self._marketplace.session(job.session_id)
        if follows_confirmed and session.tokens_proven < cut.tokens_before:
            raise ChainMoved(
                f"the endpoint does not know the checkpoint before number {job.number}",
                expected=f"{cut.tokens_before} tokens",
                got=session.tokens_proven,
            )
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
