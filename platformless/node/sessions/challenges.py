"""Wallet challenges: clients show which wallet they are before a session is theirs.

A challenge is good once, for a while, for one session and one host. It is recognised by what is in
its nonce, so that asking for challenges costs the node no memory and pushes nobody's out; only
those that a depositor has answered are remembered, until their time is over.

    nonce   expiry (u64, big-endian), 8 random bytes, and the first 16 bytes of HMAC-SHA256 over
            both and the session's id, with a key of this process
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from ...protocol.digests import Address
from ...protocol.envelope import WalletProof, init_signature
from ...protocol.errors import ProtocolError
from ...protocol.signatures import signer
from ...protocol.wallet_challenge import ChallengeNonce, WalletChallenge
from ...protocol.words import U256_MAX, in_range, number_word
from ..errors import ChallengeExpired, ChallengeUnknown, WrongWallet

CHALLENGE_SECONDS = 120
_EXPIRY_BYTES = 8
_RANDOM_BYTES = 8
_MARKED_BYTES = _EXPIRY_BYTES + _RANDOM_BYTES
_MARK_BYTES = ChallengeNonce.LENGTH - _MARKED_BYTES


class WalletChallenges:
    """Gives out challenges and takes their answers. After a restart clients ask again.

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
        seconds: int = CHALLENGE_SECONDS,
    ) -> None:
        self._chain_id = chain_id
        self._marketplace = marketplace
        self._host = host
        self._clock = clock
        self._seconds = seconds
        self._secret = secrets.token_bytes(32)
        self._used: dict[ChallengeNonce, int] = {}
        """Answered by depositors, and until when they must be remembered."""

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._used)

    def issue(self, session_id: int) -> WalletChallenge:
        """A new challenge.

        Raises:
            ValueOutOfRange: when no session can have this id.
        """
        in_range("session id", session_id, U256_MAX)
        expires = int(self._clock()) + self._seconds
        marked = expires.to_bytes(_EXPIRY_BYTES) + secrets.token_bytes(_RANDOM_BYTES)
        return self._challenge(session_id, ChallengeNonce(marked + self._mark(session_id, marked)))

    def take(self, session_id: int, proof: WalletProof, depositor: Address) -> None:
        """Whether the depositor's wallet answered a challenge of the session; it is used up then.

        Raises:
            ChallengeUnknown: when it was not given out for this session, or was used.
            ChallengeExpired: when it is too old.
            WrongWallet: when another wallet signed it, or none.
        """
        challenge = self._known(session_id, proof.nonce)
        now = int(self._clock())
        if now >= challenge.expires:
            raise ChallengeExpired(
                "the wallet challenge is too old",
                expected=f"an answer before {challenge.expires}",
                got=now,
            )
        try:
            signed_by = signer(challenge.signing_digest(), init_signature(proof.signature))
        except (ProtocolError, ValueError) as error:
            raise WrongWallet(
                f"session {session_id}: no wallet signed the challenge",
                expected="65 bytes in hex, as eth_signTypedData_v4 returns them",
            ) from error
        if signed_by != depositor:
            raise WrongWallet("not the depositor's wallet", expected=depositor, got=signed_by)
        self._used = {nonce: until for nonce, until in self._used.items() if until > now}
        self._used[challenge.nonce] = challenge.expires

    def _known(self, session_id: int, text: str) -> WalletChallenge:
        try:
            nonce: ChallengeNonce | None = ChallengeNonce.from_hex(text)
        except ProtocolError:
            nonce = None
        if nonce is None or nonce in self._used or not self._is_ours(session_id, nonce):
            raise ChallengeUnknown(
                f"no such wallet challenge for session {session_id}",
                expected="one that was given out for it and not used",
            )
        return self._challenge(session_id, nonce)

    def _is_ours(self, session_id: int, nonce: ChallengeNonce) -> bool:
        marked, mark = nonce.value[:_MARKED_BYTES], nonce.value[_MARKED_BYTES:]
        return hmac.compare_digest(mark, self._mark(session_id, marked))

    def _mark(self, session_id: int, marked: bytes) -> bytes:
        data = marked + number_word(session_id)
        return hmac.digest(self._secret, data, hashlib.sha256)[:_MARK_BYTES]

    def _challenge(self, session_id: int, nonce: ChallengeNonce) -> WalletChallenge:
        return WalletChallenge(
            chain_id=self._chain_id,
            marketplace=self._marketplace,
            host=self._host,
            session_id=session_id,
            nonce=nonce,
            expires=int.from_bytes(nonce.value[:_EXPIRY_BYTES]),
        )
