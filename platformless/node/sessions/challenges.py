"""Wallet challenges: clients show which wallet they are before a session is theirs.

A challenge is a random number that is given out for one session, signed once, and forgotten. Few
are remembered, the oldest are forgotten first: asking costs a stranger nothing, so that it must
not cost the node memory. In memory only: after a restart clients ask again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from ...protocol.digests import Address
from ...protocol.envelope import WalletProof, init_signature
from ...protocol.errors import ProtocolError
from ...protocol.signatures import signer
from ...protocol.wallet_challenge import ChallengeNonce, WalletChallenge
from ..errors import ChallengeExpired, ChallengeUnknown, WrongWallet


@dataclass(frozen=True, slots=True)
class ChallengeLimits:
    """How long and how many."""

    seconds: int = 120
    per_session: int = 16
    in_all: int = 10_000


class WalletChallenges:
    """The challenges that are given out and not answered yet.

    Args:
        marketplace: The contract whose sessions these are, with its chain.
        host: Whom clients prove themselves to: nobody else can use what they sign.
        clock: Unix time in seconds, for tests; `time.time` otherwise.
    """

    def __init__(
        self,
        chain_id: int,
        marketplace: Address,
        host: Address,
        clock: Callable[[], float] = time.time,
        limits: ChallengeLimits | None = None,
    ) -> None:
        self._chain_id = chain_id
        self._marketplace = marketplace
        self._host = host
        self._clock = clock
        self._limits = limits or ChallengeLimits()
        # Dictionaries keep their order: the first is the oldest, here and of each session.
        self._issued: dict[ChallengeNonce, WalletChallenge] = {}
        self._of_session: dict[int, dict[ChallengeNonce, None]] = {}

    def __len__(self) -> int:
        return len(self._issued)

    def issue(self, session_id: int) -> WalletChallenge:
        """A new challenge. It may push out the oldest of this session, or of all.

        Raises:
            ValueOutOfRange: when no session can have this id.
        """
        challenge = WalletChallenge(
            chain_id=self._chain_id,
            marketplace=self._marketplace,
            host=self._host,
            session_id=session_id,
            nonce=ChallengeNonce(secrets.token_bytes(ChallengeNonce.LENGTH)),
            expires=int(self._clock()) + self._limits.seconds,
        )
        of_session = self._of_session.get(session_id, {})
        if len(of_session) >= self._limits.per_session:
            self._forget(next(iter(of_session)))
        elif len(self._issued) >= self._limits.in_all:
            self._forget(next(iter(self._issued)))
        self._issued[challenge.nonce] = challenge
        self._of_session.setdefault(session_id, {})[challenge.nonce] = None
        return challenge

    def take(self, session_id: int, proof: WalletProof) -> Address:
        """Who signed a challenge of the session; the challenge is used up, whatever comes of it.
        Whether it is the right wallet is for the caller to see.

        Raises:
            ChallengeUnknown: when it was not given out for this session, was used or pushed out.
            ChallengeExpired: when it is too old.
            WrongWallet: when no wallet can have made the signature.
        """
        challenge = self._known(session_id, proof.nonce)
        self._forget(challenge.nonce)
        now = self._clock()
        if now >= challenge.expires:
            raise ChallengeExpired(
                "the wallet challenge is too old",
                expected=f"an answer before {challenge.expires}",
                got=int(now),
            )
        try:
            return signer(challenge.signing_digest(), init_signature(proof.signature))
        except (ProtocolError, ValueError) as error:
            raise WrongWallet(
                f"session {session_id}: no wallet signed the challenge",
                expected="65 bytes in hex, as eth_signTypedData_v4 returns them",
            ) from error

    def _known(self, session_id: int, nonce: str) -> WalletChallenge:
        try:
            challenge = self._issued.get(ChallengeNonce.from_hex(nonce))
        except ProtocolError:
            challenge = None
        if challenge is None or challenge.session_id != session_id:
            raise ChallengeUnknown(
                f"no such wallet challenge for session {session_id}",
                expected="one that was given out for it and not used",
            )
        return challenge

    def _forget(self, nonce: ChallengeNonce) -> None:
        challenge = self._issued.pop(nonce)
        of_session = self._of_session[challenge.session_id]
        del of_session[nonce]
        if not of_session:
            del self._of_session[challenge.session_id]
