"""The wallet challenge of clients that prove which wallet they are (EIP-712).

The host gives a random nonce and a time; the client signs both with the session's id and the host's
address.
"""

from __future__ import annotations

from dataclasses import dataclass

from .digests import Address, FixedBytes
from .typed_data import type_hash, typed_digest
from .words import U64_MAX, U256_MAX, address_word, in_range, number_word

_MESSAGE_TYPE = type_hash(
    "WalletChallenge(address host,uint256 sessionId,bytes32 nonce,uint256 expires)"
)


class ChallengeNonce(FixedBytes):
    """32 random bytes, used once."""


@dataclass(frozen=True, slots=True)
class WalletChallenge:
    """What a client signs to open a session as its wallet."""

    chain_id: int
    marketplace: Address
    host: Address
    session_id: int
    nonce: ChallengeNonce
    expires: int
    """Unix time in seconds from which it is no longer taken."""

    def __post_init__(self) -> None:
        in_range("chain id", self.chain_id, U64_MAX)
        in_range("session id", self.session_id, U256_MAX)
        in_range("expiry", self.expires, U64_MAX)

    def signing_digest(self) -> bytes:
        """The 32 bytes that the wallet signs."""
        words = (
            address_word(self.host)
            + number_word(self.session_id)
            + self.nonce.value
            + number_word(self.expires)
        )
        return typed_digest(self.chain_id, self.marketplace, _MESSAGE_TYPE, words)
