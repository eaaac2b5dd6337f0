"""The session header: what a session is bound to, fixed before its first token."""

from __future__ import annotations

from dataclasses import dataclass

from .digests import Address, HeaderDigest, ModelId, Salt, Seed, WeightsRoot, tagged_sha256
from .words import U64_MAX, U256_MAX, address_word, in_range, number_word


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """Ten 32-byte words; their digest stands in every claim of the session.

    Raises:
        ValueOutOfRange: for a number that does not fit its word.
    """

    chain_id: int
    marketplace: Address
    session_id: int
    """Job id on chain."""
    host: Address
    client: Address
    model_id: ModelId
    weights_root: WeightsRoot
    price: int
    """Price of a token in the session's payment token, times 1000, as on chain."""
    seed: Seed
    salt: Salt

    def __post_init__(self) -> None:
        in_range("chain id", self.chain_id, U64_MAX)
        in_range("session id", self.session_id, U256_MAX)
        in_range("price", self.price, U256_MAX)

    def public_words(self) -> bytes:
        """The eight words that a claim repeats: chain id to price, 256 bytes."""
        return b"".join(
            (
                number_word(self.chain_id),
                address_word(self.marketplace),
                number_word(self.session_id),
                address_word(self.host),
                address_word(self.client),
                self.model_id.value,
                self.weights_root.value,
                number_word(self.price),
            )
        )

    def encode(self) -> bytes:
        """All ten words, 320 bytes (docs/formats.md, "Session header")."""
        return self.public_words() + self.seed.value + self.salt.value

    def digest(self) -> HeaderDigest:
        return HeaderDigest(tagged_sha256("session-header", self.encode()))
