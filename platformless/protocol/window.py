"""A checkpoint window: the entries that one proof accounts for, its claim and its witness."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from .claim import SessionClaim
from .digests import DeltaDigest, TraceRoot
from .errors import WindowError
from .header import SessionHeader
from .transcript import Entry, State
from .words import U32_MAX, U64_MAX, in_range

BLOCK_BYTES = 64
PROLOGUE_BYTES = 8 * BLOCK_BYTES
_SHA256_PADDING_BYTES = 12
"""Room that the witness leaves after an entry: the guest writes marker and length there."""


NO_DELTA = DeltaDigest.zero()
NO_TRACE = TraceRoot.zero()


@dataclass(frozen=True, slots=True)
class Window:
    """The entries between two states.

    Raises:
        WindowError: when the window is empty, or its number does not fit its start.
    """

    header: SessionHeader
    checkpoint: int
    """Number within the session, from 0."""
    before: State
    entries: tuple[Entry, ...]
    delta_digest: DeltaDigest = NO_DELTA
    trace_root: TraceRoot = NO_TRACE
    after: State = field(init=False)

    def __post_init__(self) -> None:
        in_range("checkpoint number", self.checkpoint, U64_MAX)
        in_range("number of entries", len(self.entries), U32_MAX)
        if not self.entries:
            raise WindowError("a checkpoint without entries", expected="at least one entry")
        if (self.checkpoint == 0) != (self.before.entries == 0):
            raise WindowError(
                "checkpoint number does not fit the state before",
                expected="0 exactly when nothing came before",
                got=f"number {self.checkpoint} after {self.before.entries} entries",
            )
        object.__setattr__(self, "after", self.before.extend(self.header, self.entries))

    def claim(self) -> SessionClaim:
        """What a proof of this window will say."""
        return SessionClaim(
            header_digest=self.header.digest(),
            terms=self.header.terms,
            checkpoint=self.checkpoint,
            tokens_before=self.before.tokens,
            tokens_after=self.after.tokens,
            state_before=self.before.digest,
            state_after=self.after.digest,
            delta_digest=self.delta_digest,
            trace_root=self.trace_root,
        )

    def witness(self) -> bytes:
        """The private input of the guest (docs/formats.md, "Witness").

        Eight blocks of 64 bytes: header, delta digest, trace root, counters, and the preimage of
        the state before; then each entry as it is hashed, filled with zeros to whole blocks. What
        the guest can derive (entry numbers, padding) it overwrites.
        """
        before = self.before
        prologue = b"".join(
            (
                self.header.encode(),
                self.delta_digest.value,
                self.trace_root.value,
                struct.pack("<QQQ", self.checkpoint, before.entries, before.tokens),
                struct.pack("<II", before.last_kind, len(self.entries)),
                before.previous.value,
                before.last_entry.value,
            )
        )
        entries = (
            _fill(entry.encode(number) + bytes(_SHA256_PADDING_BYTES))
            for number, entry in enumerate(self.entries, before.entries)
        )
        return prologue.ljust(PROLOGUE_BYTES, b"\0") + b"".join(entries)


def _fill(data: bytes) -> bytes:
    """`data` and zeros up to a whole block."""
    return data + bytes(-len(data) % BLOCK_BYTES)
