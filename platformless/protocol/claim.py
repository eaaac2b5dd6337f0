"""The `session` claim: what one accounting proof says in public.

Seventeen 32-byte words, big-endian, 544 bytes: the journal of the guest `session`
(docs/formats.md, "Session claim").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from .digests import DeltaDigest, HeaderDigest, StateDigest, TraceRoot
from .errors import ClaimFormatError, ValueOutOfRange
from .terms import SessionTerms
from .transcript import Tokens
from .words import U64_MAX, WORD_BYTES, in_range, number_word, split_words, word_number

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
    terms: SessionTerms
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
                self.terms.encode(),
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
        if word_number(words[0]) != _KIND_AND_VERSION:
            raise ClaimFormatError(
                "not a session claim of this version",
                expected=number_word(_KIND_AND_VERSION).hex(),
                got=words[0].hex(),
            )
        try:
            return cls(
                header_digest=HeaderDigest(words[1]),
                terms=SessionTerms.decode(words[2:10]),
                checkpoint=word_number(words[10]),
                tokens_before=Tokens(word_number(words[11])),
                tokens_after=Tokens(word_number(words[12])),
                state_before=StateDigest(words[13]),
                state_after=StateDigest(words[14]),
                delta_digest=DeltaDigest(words[15]),
                trace_root=TraceRoot(words[16]),
            )
        except ValueOutOfRange as error:
            raise ClaimFormatError(
                f"claim with {error.message}", expected=error.expected, got=error.got
            ) from error
