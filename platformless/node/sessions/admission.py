"""Admission: which clients are let into a session, with which key."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from ...protocol.envelope import EncryptedInit, SessionInit, WalletProof, open_init
from ...protocol.host_key import HostKey
from ...protocol.secrecy import PublicKeyBytes
from ...prover.ledger.ledger import Ledger
from ...prover.ledger.values import Binding
from ..errors import (
    EncryptionNeeded,
    OutOfOrder,
    ReplayedFrame,
    SessionError,
    SessionMismatch,
    WalletProofNeeded,
)
from ..monitoring.counted import Counted
from .authority import require_model_named
from .challenges import WalletChallenges
from .holders import bound, key_holder, new_token, token_holder
from .keys import KeyLimits, SessionKeys
from .live import LiveSession
from .rules import SessionRules

_MARK_BYTES = 16


class Admission:
    """Lets clients in.

    Args:
        enter: Gives the live session of an id, if the chain lets it be served.
        clock: Seconds of any clock that does not go back.
    """

    def __init__(
        self,
        enter: Callable[[int], Awaitable[LiveSession]],
        ledger: Ledger,
        challenges: WalletChallenges,
        host_key: HostKey,
        rules: SessionRules,
        clock: Callable[[], float],
        counted: Counted | None = None,
    ) -> None:
        self.challenges = challenges
        self.keys = SessionKeys(clock, KeyLimits(seconds=rules.key_seconds))
        self._enter = enter
        self._ledger = ledger
        self._host_key = host_key
        self._rules = rules
        self._wallet_proofs = (counted or Counted()).wallet_proofs

    async def begin(
        self, frame: EncryptedInit, claimed_id: int | None
    ) -> tuple[LiveSession, SessionInit]:
        """Lets a client in that comes with a key; also when it comes again.

        Args:
            claimed_id: The session id outside the ciphertext, which must not be another one.

        Raises:
            EnvelopeBroken: when the init cannot be used.
            SessionMismatch, ReplayedFrame, ForeignClient, ModelNotServed, WalletProofNeeded, …
            ChainError, LedgerError: when they cannot be asked.
        """
        init = await asyncio.to_thread(open_init, frame, self._host_key)
        session_id = init.job_id
        if claimed_id not in (None, session_id):
            raise SessionMismatch(
                "the ids of frame and init differ", expected=session_id, got=claimed_id
            )
        session = await self._enter(session_id)
        require_model_named(init.model_name, session.admitted.model_id)
        depositor = session.admitted.session.client
        proven = self._prove(session, init.wallet) or init.client_key_address == depositor
        async with session.binding_lock:
            holder = key_holder(init.client_key_address)
            binding = self._binding(session, holder, init.recovery_key, proven=proven)
            if not await self._ledger.take_init(session_id, _mark(frame)):
                raise ReplayedFrame("this init was used before", expected="a fresh ephemeral key")
            await self._bind(session, binding)
            self.keys.set(session_id, init.session_key)
        return session, init

    async def begin_clear(
        self, session_id: int | None, token: str | None, wallet: WalletProof | None
    ) -> tuple[LiveSession, str]:
        """Lets a client in that speaks in the clear. Returns the session and its token, by which
        the client is known when it comes again.

        Args:
            token: From an earlier time.

        Raises:
            EncryptionNeeded: when the node serves none.
            OutOfOrder: without a session id.
            ForeignClient, WalletProofNeeded, …: as `begin`.
        """
        if not self._rules.allow_clear:
            raise EncryptionNeeded("this node serves encrypted sessions only")
        if session_id is None:
            raise OutOfOrder("no session is named", expected="session_id or job_id")
        session = await self._enter(session_id)
        proven = self._prove(session, wallet)
        token = token or new_token()
        async with session.binding_lock:
            binding = self._binding(session, token_holder(token), None, proven=proven)
            await self._bind(session, binding)
        return session, token

    def _binding(
        self,
        session: LiveSession,
        holder: str,
        recovery_key: PublicKeyBytes | None,
        *,
        proven: bool,
    ) -> Binding:
        """The session's binding once this client is let in.

        Raises:
            ForeignClient, WalletProofNeeded
        """
        known = session.binding
        if self._rules.require_wallet and not proven and (not known or known.holder != holder):
            raise WalletProofNeeded(
                "this node serves depositors only",
                expected="a wallet challenge signed by the job's depositor",
            )
        return bound(known, holder, recovery_key, proven_depositor=proven)

    async def _bind(self, session: LiveSession, binding: Binding) -> None:
        """Makes the session a client's. An answer to another one ends."""
        known = session.binding
        if binding != known:
            await self._ledger.bind(session.id, binding)
            session.binding = binding
        if known is not None and known.holder != binding.holder:
            session.cancel()

    def _prove(self, session: LiveSession, wallet: WalletProof | None) -> bool:
        """Whether the client showed that it is the depositor.

        Raises:
            ChallengeUnknown, ChallengeExpired, WrongWallet: when it tried in vain.
        """
        if wallet is None:
            return False
        try:
            self.challenges.take(session.id, wallet, session.admitted.session.client)
        except SessionError:
            self._wallet_proofs.labels("refused").inc()
            raise
        self._wallet_proofs.labels("accepted").inc()
        return True


def _mark(frame: EncryptedInit) -> bytes:
    """Enough of a hash to recognise an init that was seen."""
    data = frame.ephemeral_key.value + frame.encrypted.nonce
    return hashlib.sha256(data).digest()[:_MARK_BYTES]
