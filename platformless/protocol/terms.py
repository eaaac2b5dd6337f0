"""The terms of a session: what is public about it, in its header and in every claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from .digests import Address, ModelId, WeightsRoot
from .errors import ClaimFormatError
from .words import U64_MAX, U256_MAX, address_word, in_range, number_word, word_number

TERMS_WORDS = 8


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """Eight 32-byte words.

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

    def __post_init__(self) -> None:
        in_range("chain id", self.chain_id, U64_MAX)
        in_range("session id", self.session_id, U256_MAX)
        in_range("price", self.price, U256_MAX)

    def encode(self) -> bytes:
        """The words, 256 bytes."""
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

    @classmethod
    def decode(cls, words: Sequence[bytes]) -> Self:
        """Reads eight words.

        Raises:
            ClaimFormatError, ValueOutOfRange: for a word that its field cannot hold.
        """
        return cls(
            chain_id=word_number(words[0]),
            marketplace=_address(words[1]),
            session_id=word_number(words[2]),
            host=_address(words[3]),
            client=_address(words[4]),
            model_id=ModelId(words[5]),
            weights_root=WeightsRoot(words[6]),
            price=word_number(words[7]),
        )


def _address(word: bytes) -> Address:
    if any(word[: -Address.LENGTH]):
        raise ClaimFormatError("address word with more than 20 bytes", got=word.hex())
    return Address(word[-Address.LENGTH :])
