"""The transcript of a session: entries, and the state that commits to them.

The same tokens cut into entries differently are a different transcript with other digests, but
the same number of billed tokens.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NewType, Self

from .digests import EntryDigest, HeaderDigest, StateDigest, tagged_sha256
from .errors import TranscriptError, ValueOutOfRange
from .header import SessionHeader
from .words import U32_MAX, U64_MAX, in_range

Tokens = NewType("Tokens", int)

MAX_ENTRY_TOKENS = 1 << 24


class Kind(IntEnum):
    """What an entry is. `NONE` stands for "no entry yet" and is no kind of entry."""

    NONE = 0
    PROMPT = 1
    """Tokens that the client sent, as the model saw them."""
    COMPLETION = 2
    """Tokens that the model produced; these alone are billed."""
    END = 3
    """The end of the transcript; nothing follows."""


def _single(name: str, value: float) -> float:
    """`value` rounded to single precision; adding 0.0 turns -0.0 into 0.0."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", float(value)))[0]
    except (OverflowError, TypeError, ValueError, struct.error):
        rounded = float("nan")
    if not -3.5e38 < rounded < 3.5e38:
        raise ValueOutOfRange(f"{name} out of range", expected="a finite float32", got=value)
    return rounded + 0.0


@dataclass(frozen=True, slots=True)
class Sampler:
    """How tokens were drawn, in llama.cpp's terms; 32 bytes in an entry, little-endian.

    Reals are single precision; a value that single precision cannot hold is rounded on entry.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 0.0
    min_p: float = 0.0
    repeat_penalty: float = 0.0
    repeat_last_n: int = 0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    _LAYOUT = struct.Struct("<fIfffIff")
    _REALS = (
        "temperature",
        "top_p",
        "min_p",
        "repeat_penalty",
        "frequency_penalty",
        "presence_penalty",
    )

    def __post_init__(self) -> None:
        for name in self._REALS:
            object.__setattr__(self, name, _single(name, getattr(self, name)))
        in_range("top_k", self.top_k, U32_MAX)
        in_range("repeat_last_n", self.repeat_last_n, U32_MAX)

    def encode(self) -> bytes:
        return self._LAYOUT.pack(
            self.temperature,
            self.top_k,
            self.top_p,
            self.min_p,
            self.repeat_penalty,
            self.repeat_last_n,
            self.frequency_penalty,
            self.presence_penalty,
        )


NO_SAMPLER = Sampler()
"""The sampler of entries that were not drawn: all zeros."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of the transcript.

    Raises:
        ValueOutOfRange: for a token id over 32 bits or too many tokens.
        TranscriptError: for a kind that may not carry what it carries.
    """

    kind: Kind
    tokens: tuple[int, ...] = ()
    text: str = ""
    sampler: Sampler = NO_SAMPLER

    def __post_init__(self) -> None:
        if self.kind is Kind.NONE:
            raise TranscriptError("not a kind of entry", expected="prompt, completion or end")
        in_range("number of tokens", len(self.tokens), MAX_ENTRY_TOKENS)
        for token in self.tokens:
            in_range("token id", token, U32_MAX)
        if self.kind is Kind.END and (self.tokens or self.text):
            raise TranscriptError("an end entry carries nothing", got=f"{len(self.tokens)} tokens")
        if self.kind is not Kind.COMPLETION and self.sampler != NO_SAMPLER:
            raise TranscriptError("only a completion has a sampler", got=self.kind.name.lower())
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise ValueOutOfRange("text is not Unicode", got=str(error)) from None

    @property
    def billed(self) -> Tokens:
        """Completion tokens, the only ones that are paid for."""
        return Tokens(len(self.tokens) if self.kind is Kind.COMPLETION else 0)

    def encode(self, number: int) -> bytes:
        """The entry as it is hashed and as the guest reads it, without padding.

        Number, kind and token count (u32), the sampler (32 bytes), SHA-256 of the UTF-8 text,
        the token ids (u32); all little-endian.
        """
        in_range("entry number", number, U32_MAX)
        return b"".join(
            (
                struct.pack("<III", number, self.kind, len(self.tokens)),
                self.sampler.encode(),
                hashlib.sha256(self.text.encode()).digest(),
                struct.pack(f"<{len(self.tokens)}I", *self.tokens),
            )
        )

    def digest(self, header: SessionHeader, number: int) -> EntryDigest:
        """Covers seed and salt of the session besides the entry: without the salt, nobody can
        try out what a short entry might say."""
        payload = header.seed.value + header.salt.value + self.encode(number)
        return EntryDigest(tagged_sha256("entry", payload))


@dataclass(frozen=True, slots=True)
class State:
    """The commitment after some entries, with everything that its digest is a hash of."""

    header_digest: HeaderDigest
    previous: StateDigest
    """State before the last entry; zero at the start."""
    last_entry: EntryDigest
    last_kind: Kind
    entries: int
    tokens: Tokens
    """Completion tokens so far."""
    digest: StateDigest = field(init=False)

    def __post_init__(self) -> None:
        in_range("entries so far", self.entries, U32_MAX)
        in_range("tokens so far", self.tokens, U64_MAX)
        object.__setattr__(self, "digest", StateDigest(self._hash()))

    def _hash(self) -> bytes:
        if self.entries == 0:
            return tagged_sha256("initial-state", self.header_digest.value)
        return tagged_sha256(
            "state",
            self.header_digest.value
            + self.previous.value
            + self.last_entry.value
            + struct.pack("<QQI", self.entries, self.tokens, self.last_kind),
        )

    @classmethod
    def initial(cls, header: SessionHeader) -> Self:
        """State 0."""
        return cls(header.digest(), StateDigest.zero(), EntryDigest.zero(), Kind.NONE, 0, Tokens(0))

    def append(self, header: SessionHeader, entry: Entry) -> State:
        """The state after one more entry.

        Raises:
            TranscriptError: when the transcript has ended, or the header is another session's.
        """
        if header.digest() != self.header_digest:
            raise TranscriptError(
                "header of another session", expected=self.header_digest, got=header.digest()
            )
        if self.last_kind is Kind.END:
            raise TranscriptError("the transcript has ended", got=entry.kind.name.lower())
        return State(
            header_digest=self.header_digest,
            previous=self.digest,
            last_entry=entry.digest(header, self.entries),
            last_kind=entry.kind,
            entries=self.entries + 1,
            tokens=Tokens(self.tokens + entry.billed),
        )

    def extend(self, header: SessionHeader, entries: Iterable[Entry]) -> State:
        """The state after several entries."""
        state = self
        for entry in entries:
            state = state.append(header, entry)
        return state
