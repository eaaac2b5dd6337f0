"""The `session` claim: what one accounting proof says in public.

Seventeen 32-byte words, big-endian, 544 bytes: the journal of the guest `session`
(docs/formats.md, "Session claim").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from .digests import (
    Address,
    DeltaDigest,
    HeaderDigest,
    ModelId,
    StateDigest,
    TraceRoot,
    WeightsRoot,
)
from .errors import ClaimFormatError, ValueOutOfRange
from .transcript import Tokens
from .words import (
    U64_MAX,
    U256_MAX,
    WORD_BYTES,
    address_word,
    in_range,
    number_word,
    split_words,
)

CLAIM_WORDS = 17
CLAIM_BYTES = CLAIM_WORDS * WORD_BYTES
SESSION_KIND = 1
VERSION = 1
_KIND_AND_VERSION = (SESSION_KIND << 32) | VERSION


@dataclass(frozen=True, slots=True)
class SessionClaim:
    """The tokens from `tokens_before` to `tokens_after` are the completion tokens of a transcript
    that extends `state_before` to `state_after`, in the session named by the other words."""

    header_digest: HeaderDigest
    chain_id: int
    marketplace: Address
    session_id: int
    host: Address
    client: Address
    model_id: ModelId
    weights_root: WeightsRoot
    price: int
    checkpoint: int
    """Number within the session, from 0. The guest proves only whether it is 0; that checkpoints
    follow one another is for whoever joins their claims."""
    tokens_before: Tokens
    tokens_after: Tokens
    state_before: StateDigest
    state_after: StateDigest
    delta_digest: DeltaDigest
    """Carried, not checked, by the guest."""
    trace_root: TraceRoot
    """Carried, not checked, by the guest."""

    def __post_init__(self) -> None:
        in_range("chain id", self.chain_id, U64_MAX)
        in_range("session id", self.session_id, U256_MAX)
        in_range("price", self.price, U256_MAX)
        in_range("checkpoint number", self.checkpoint, U64_MAX)
        in_range("tokens after", self.tokens_after, U64_MAX)
        in_range("tokens before", self.tokens_before, self.tokens_after)

    @property
    def tokens(self) -> Tokens:
        """Tokens billed by this checkpoint."""
        return Tokens(self.tokens_after - self.tokens_before)

    def encode(self) -> bytes:
        """The 544 bytes of the journal."""
        return b"".join(
            (
                number_word(_KIND_AND_VERSION),
                self.header_digest.value,
                number_word(self.chain_id),
                address_word(self.marketplace),
                number_word(self.session_id),
                address_word(self.host),
                address_word(self.client),
                self.model_id.value,
                self.weights_root.value,
                number_word(self.price),
                number_word(self.checkpoint),
                number_word(self.tokens_before),
                number_word(self.tokens_after),
                self.state_before.value,
                self.state_after.value,
                self.delta_digest.value,
                self.trace_root.value,
            )
        )

    @classmethod
    def decode(cls, journal: bytes) -> Self:
        """Reads a journal.

        Raises:
            ClaimFormatError: when the bytes are not a `session` claim of this version.
        """
        if len(journal) != CLAIM_BYTES:
            raise ClaimFormatError(
                "claim of a wrong length", expected=f"{CLAIM_BYTES} bytes", got=len(journal)
            )
        words = split_words(journal)
        if _number(words[0]) != _KIND_AND_VERSION:
            raise ClaimFormatError(
                "not a session claim of this version",
                expected=number_word(_KIND_AND_VERSION).hex(),
                got=words[0].hex(),
            )
        try:
            return cls(
                header_digest=HeaderDigest(words[1]),
                chain_id=_number(words[2]),
                marketplace=_address(words[3]),
                session_id=_number(words[4]),
                host=_address(words[5]),
                client=_address(words[6]),
                model_id=ModelId(words[7]),
                weights_root=WeightsRoot(words[8]),
                price=_number(words[9]),
                checkpoint=_number(words[10]),
                tokens_before=Tokens(_number(words[11])),
                tokens_after=Tokens(_number(words[12])),
                state_before=StateDigest(words[13]),
                state_after=StateDigest(words[14]),
                delta_digest=DeltaDigest(words[15]),
                trace_root=TraceRoot(words[16]),
            )
        except ValueOutOfRange as error:
            raise ClaimFormatError(
                f"claim with {error.message}", expected=error.expected, got=error.got
            ) from error


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _address(word: bytes) -> Address:
    if any(word[:12]):
        raise ClaimFormatError("address word with more than 20 bytes", got=word.hex())
    return Address(word[12:])
