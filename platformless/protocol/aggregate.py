"""The `aggregate` claim: what one proof of a whole session says in public.

A head of seventeen 32-byte words, then four words for each checkpoint: the journal of the guest
`aggregate` (docs/formats.md, "Aggregate claim").
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from .assurance import ACCOUNTING_COVERAGE, Component, Coverage
from .claim import SessionClaim
from .digests import DeltaDigest, HeaderDigest, ImageId, StateDigest, TraceRoot
from .errors import ClaimFormatError, ValueOutOfRange, WindowError
from .terms import SessionTerms
from .transcript import Tokens
from .words import U64_MAX, WORD_BYTES, in_range, number_word, split_words, word_number

CLAIM_KIND = "aggregate"
"""Name in a bundle, and of the guest."""
AGGREGATE_KIND = 2
VERSION = 1
HEAD_WORDS = 17
ROW_WORDS = 4
MAX_PARTS = 500
"""The journal of so many takes 64,544 bytes, of the 65,536 that a bundle has room for."""
AGGREGATE_COVERAGE = (
    Component(
        "checkpoints",
        Coverage.PROVEN,
        "each is proven by the session guest and begins where the one before it ended",
    ),
    *ACCOUNTING_COVERAGE,
)
"""Coverage of an `aggregate` claim, level `accounting`: of every checkpoint as of one, and that
they join."""
_KIND_AND_VERSION = (AGGREGATE_KIND << 32) | VERSION
_BLOCK_BYTES = 64


@dataclass(frozen=True, slots=True)
class AggregatePart:
    """A checkpoint's row: where it ends, and what else stands in its claim."""

    tokens_after: Tokens
    state_after: StateDigest
    delta_digest: DeltaDigest
    """Carried, not checked, by the guest `session`."""
    trace_root: TraceRoot
    """Carried, not checked, by the guest `session`."""

    def encode(self) -> bytes:
        return b"".join(
            (
                number_word(self.tokens_after),
                self.state_after.value,
                self.delta_digest.value,
                self.trace_root.value,
            )
        )


@dataclass(frozen=True, slots=True)
class AggregateClaim:
    """The checkpoints are proven by the guest `part_image`, are of one session, and join: each
    begins in the state and with the token count in which the one before ended.

    Raises:
        ValueOutOfRange: for no checkpoints or too many, or a number that does not fit.
    """

    header_digest: HeaderDigest
    terms: SessionTerms
    part_image: ImageId
    """The guest whose proofs were joined. Whoever accepts this claim has to trust it too."""
    first_checkpoint: int
    tokens_before: Tokens
    state_before: StateDigest
    parts: tuple[AggregatePart, ...]

    def __post_init__(self) -> None:
        in_range("first checkpoint number", self.first_checkpoint, U64_MAX)
        if not 1 <= len(self.parts) <= MAX_PARTS:
            raise ValueOutOfRange(
                "number of checkpoints out of range",
                expected=f"1 to {MAX_PARTS}",
                got=len(self.parts),
            )
        in_range("last checkpoint number", self.last_checkpoint, U64_MAX)
        least: int = in_range("tokens before", self.tokens_before, U64_MAX)
        for row in self.parts:
            in_range("tokens after", row.tokens_after, U64_MAX)
            if row.tokens_after < least:
                raise ValueOutOfRange(
                    "fewer tokens after a checkpoint than before",
                    expected=f"at least {least}",
                    got=row.tokens_after,
                )
            least = row.tokens_after

    @classmethod
    def of(cls, part_image: ImageId, claims: Sequence[SessionClaim]) -> Self:
        """What the guest publishes for these claims, in this order.

        Raises:
            WindowError: when they are not consecutive checkpoints of one session.
            ValueOutOfRange: when there are none, or too many.
        """
        for before, after in pairwise(claims):
            _require_joined(before, after)
        if not claims:
            raise ValueOutOfRange("no checkpoints to join", expected="at least one")
        first = claims[0]
        return cls(
            first.header_digest,
            first.terms,
            part_image,
            first.checkpoint,
            first.tokens_before,
            first.state_before,
            tuple(
                AggregatePart(
                    claim.tokens_after, claim.state_after, claim.delta_digest, claim.trace_root
                )
                for claim in claims
            ),
        )

    @property
    def last_checkpoint(self) -> int:
        """Number of the last checkpoint."""
        return self.first_checkpoint + len(self.parts) - 1

    @property
    def tokens_after(self) -> Tokens:
        return self.parts[-1].tokens_after

    @property
    def state_after(self) -> StateDigest:
        return self.parts[-1].state_after

    @property
    def tokens(self) -> Tokens:
        """Tokens billed by all checkpoints together."""
        return Tokens(self.tokens_after - self.tokens_before)

    def claims(self) -> tuple[SessionClaim, ...]:
        """The claims that were joined. The journal has all of them, in fewer words."""
        found: list[SessionClaim] = []
        tokens, state = self.tokens_before, self.state_before
        for number, row in enumerate(self.parts, self.first_checkpoint):
            found.append(
                SessionClaim(
                    header_digest=self.header_digest,
                    terms=self.terms,
                    checkpoint=number,
                    tokens_before=tokens,
                    tokens_after=row.tokens_after,
                    state_before=state,
                    state_after=row.state_after,
                    delta_digest=row.delta_digest,
                    trace_root=row.trace_root,
                )
            )
            tokens, state = row.tokens_after, row.state_after
        return tuple(found)

    def encode(self) -> bytes:
        """The bytes of the journal."""
        head = (
            number_word(_KIND_AND_VERSION),
            self.header_digest.value,
            self.terms.encode(),
            self.part_image.value,
            number_word(self.first_checkpoint),
            number_word(len(self.parts)),
            number_word(self.tokens_before),
            number_word(self.tokens_after),
            self.state_before.value,
            self.state_after.value,
        )
        return b"".join((*head, *(row.encode() for row in self.parts)))

    @classmethod
    def decode(cls, journal: bytes) -> Self:
        """Reads a journal.

        Raises:
            ClaimFormatError: when the bytes are not an `aggregate` claim of this version.
        """
        words = split_words(journal)
        rows, odd = divmod(len(words) - HEAD_WORDS, ROW_WORDS)
        if len(journal) % WORD_BYTES or odd or not 1 <= rows <= MAX_PARTS:
            raise ClaimFormatError(
                "claim of a wrong length",
                expected=f"{HEAD_WORDS} words, and {ROW_WORDS} for each of 1 to {MAX_PARTS}",
                got=f"{len(journal)} bytes",
            )
        if word_number(words[0]) != _KIND_AND_VERSION:
            raise ClaimFormatError(
                "not an aggregate claim of this version",
                expected=number_word(_KIND_AND_VERSION).hex(),
                got=words[0].hex(),
            )
        try:
            claim = cls(
                header_digest=HeaderDigest(words[1]),
                terms=SessionTerms.decode(words[2:10]),
                part_image=ImageId(words[10]),
                first_checkpoint=word_number(words[11]),
                tokens_before=Tokens(word_number(words[13])),
                state_before=StateDigest(words[15]),
                parts=tuple(
                    AggregatePart(
                        Tokens(word_number(words[at])),
                        StateDigest(words[at + 1]),
                        DeltaDigest(words[at + 2]),
                        TraceRoot(words[at + 3]),
                    )
                    for at in range(HEAD_WORDS, len(words), ROW_WORDS)
                ),
            )
        except ValueOutOfRange as error:
            raise ClaimFormatError(
                f"claim with {error.message}", expected=error.expected, got=error.got
            ) from error
        # What the head says of the end follows from the rows.
        for what, word, expected in (
            ("number of checkpoints", words[12], number_word(rows)),
            ("number of tokens after", words[14], number_word(claim.tokens_after)),
            ("state after", words[16], claim.state_after.value),
        ):
            if word != expected:
                raise ClaimFormatError(
                    f"head with another {what} than the rows",
                    expected=expected.hex(),
                    got=word.hex(),
                )
        return claim


def aggregate_witness(part_image: ImageId, claims: Sequence[SessionClaim]) -> bytes:
    """The private input of the guest `aggregate` (docs/formats.md, "Aggregate witness")."""
    opening = part_image.value + struct.pack("<I", len(claims))
    return opening.ljust(_BLOCK_BYTES, b"\0") + b"".join(claim.encode() for claim in claims)


def _require_joined(before: SessionClaim, after: SessionClaim) -> None:
    for what, expected, got in (
        ("session header", before.header_digest, after.header_digest),
        ("terms", before.terms, after.terms),
        ("checkpoint number", before.checkpoint + 1, after.checkpoint),
        ("state before", before.state_after, after.state_before),
        ("tokens before", before.tokens_after, after.tokens_before),
    ):
        if expected != got:
            raise WindowError(
                f"checkpoints do not join: another {what}", expected=expected, got=got
            )
