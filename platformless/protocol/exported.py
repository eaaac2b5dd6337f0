"""A transcript as its client exported it: what an auditor needs to check what was received.

Two documents have one in them: a session record (`session-record/1`) and a client's saved session
(`client-session/1`). What else they hold is passed over. States are for the reader to compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ..decoding import decode_json
from .engine_record import EngineRecord, EngineRecordFields
from .errors import ProtocolError, RecordFormatError
from .header import SessionHeader
from .record import EntryRecord, HeaderRecord
from .transcript import Entry
from .words import U32_MAX

MAX_TRANSCRIPT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """A prompt whose answer the client did not see the end of. The host may have billed some of it,
    or nothing."""

    max_tokens: int
    received: str
    """What came before the connection was lost."""


@dataclass(frozen=True, slots=True)
class ExportedTranscript:
    """Header and entries of a session, from the first on."""

    header: SessionHeader
    entries: tuple[Entry, ...]
    engine: EngineRecord | None = None
    """How the host says that its engine was set, where it said so."""
    broken_off: tuple[BrokenOff, ...] = ()
    """Prompts after the last entry, in their order. A session record has none."""

    @classmethod
    def decode(cls, data: bytes) -> ExportedTranscript:
        """Raises:
        RecordFormatError: when the document holds no transcript.
        """
        if len(data) > MAX_TRANSCRIPT_BYTES:
            raise RecordFormatError(
                "transcript too large", expected=f"at most {MAX_TRANSCRIPT_BYTES} bytes"
            )
        try:
            fields = decode_json(data, _Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecordFormatError("not a transcript", got=str(error)) from error
        if fields.header is None:
            raise RecordFormatError("a saved session before its first answer", got="no header")
        try:
            return cls(
                fields.header.header(),
                tuple(entry.entry() for entry in fields.entries),
                EngineRecord.of(fields.engine) if fields.engine else None,
                tuple(BrokenOff(one.max_tokens, one.received) for one in fields.unsettled),
            )
        except ProtocolError as error:
            raise RecordFormatError(
                f"a transcript with a wrong value: {error.message}",
                expected=error.expected,
                got=error.got,
            ) from error


class _Unsettled(Struct, frozen=True):
    max_tokens: Annotated[int, Meta(ge=0, le=U32_MAX)]
    received: str


class _Document(Struct, frozen=True):
    format: Literal["session-record/1", "client-session/1"]
    header: HeaderRecord | None
    entries: list[EntryRecord]
    engine: EngineRecordFields | None = None
    unsettled: list[_Unsettled] = []
