"""A session record: a transcript and its checkpoints as a JSON document.

This is what a proof is made from by hand (`prove-session prove RECORD.json`): private, since it
holds the text and the salt (docs/formats.md, "Session record").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from .acknowledgement import AcknowledgementSignature
from .digests import Address, DeltaDigest, ModelId, Salt, Seed, TraceRoot, WeightsRoot
from .errors import ProtocolError, RecordFormatError
from .header import SessionHeader
from .terms import SessionTerms
from .transcript import NO_SAMPLER, Entry, Kind, Sampler, State
from .window import NO_DELTA, NO_TRACE, Window

_KINDS = {"prompt": Kind.PROMPT, "completion": Kind.COMPLETION, "end": Kind.END}


class HeaderRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that may pass 2^53 are decimal strings; bytes are hex."""

    chain_id: int
    marketplace: str
    session_id: str
    host: str
    client: str
    model_id: str
    weights_root: str
    price: str
    seed: str
    salt: str


class SamplerRecord(Struct, frozen=True, forbid_unknown_fields=True):
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repeat_penalty: float
    repeat_last_n: int
    frequency_penalty: float
    presence_penalty: float


class EntryRecord(Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["prompt", "completion", "end"]
    tokens: list[int] = []
    text: str = ""
    sampler: SamplerRecord | None = None


class CheckpointRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """Entries from `first_entry` up to, not including, `end_entry`."""

    first_entry: Annotated[int, Meta(ge=0)]
    end_entry: Annotated[int, Meta(ge=0)]
    delta_digest: str | None = None
    trace_root: str | None = None
    acknowledgement: str | None = None


class SessionRecord(Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["session-record/1"]
    header: HeaderRecord
    entries: list[EntryRecord]
    checkpoints: Annotated[list[CheckpointRecord], Meta(min_length=1)]
    provenance: dict[str, Any] = {}

    @classmethod
    def decode(cls, data: bytes) -> SessionRecord:
        """Reads a record.

        Raises:
            RecordFormatError: when the document is not a record; the message names the field.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecordFormatError("not a session record", got=str(error)) from error

    def window(self, checkpoint: int) -> Window:
        """The window of checkpoint number `checkpoint`.

        Raises:
            RecordFormatError: when there is no such checkpoint, the checkpoints do not follow one
                another, or a value breaks its rules (the cause is chained).
        """
        bounds = self._bounds(checkpoint)
        header = _converted("header", self.session_header)
        entries = [
            _converted(f"entry {number}", lambda entry=entry: _entry(entry))  # type: ignore[misc]
            for number, entry in enumerate(self.entries[: bounds.end_entry])
        ]

        def build() -> Window:
            before = State.initial(header).extend(header, entries[: bounds.first_entry])
            return Window(
                header=header,
                checkpoint=checkpoint,
                before=before,
                entries=tuple(entries[bounds.first_entry :]),
                delta_digest=_optional(DeltaDigest.from_hex, bounds.delta_digest, NO_DELTA),
                trace_root=_optional(TraceRoot.from_hex, bounds.trace_root, NO_TRACE),
            )

        return _converted(f"checkpoint {checkpoint}", build)

    def acknowledgement(self, checkpoint: int) -> AcknowledgementSignature | None:
        """The client's signature under checkpoint number `checkpoint`, if the record has one."""
        signature = self._bounds(checkpoint).acknowledgement
        if signature is None:
            return None
        return _converted(
            f"acknowledgement {checkpoint}", lambda: AcknowledgementSignature.from_hex(signature)
        )

    def session_header(self) -> SessionHeader:
        header = self.header
        terms = SessionTerms(
            chain_id=header.chain_id,
            marketplace=Address.from_hex(header.marketplace),
            session_id=_decimal(header.session_id),
            host=Address.from_hex(header.host),
            client=Address.from_hex(header.client),
            model_id=ModelId.from_hex(header.model_id),
            weights_root=WeightsRoot.from_hex(header.weights_root),
            price=_decimal(header.price),
        )
        return SessionHeader(terms, Seed.from_hex(header.seed), Salt.from_hex(header.salt))

    def _bounds(self, checkpoint: int) -> CheckpointRecord:
        if not 0 <= checkpoint < len(self.checkpoints):
            raise RecordFormatError(
                "no such checkpoint in the record",
                expected=f"0 to {len(self.checkpoints) - 1}",
                got=checkpoint,
            )
        end = 0
        for number, bounds in enumerate(self.checkpoints):
            if bounds.first_entry != end or not end < bounds.end_entry <= len(self.entries):
                raise RecordFormatError(
                    f"checkpoint {number} does not follow the one before",
                    expected=f"entries from {end}, at least one, up to {len(self.entries)}",
                    got=f"{bounds.first_entry} to {bounds.end_entry}",
                )
            end = bounds.end_entry
        return self.checkpoints[checkpoint]


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 80:
        raise RecordFormatError("not a decimal number", got=repr(text[:80]))
    return int(text)


def _entry(record: EntryRecord) -> Entry:
    sampler = Sampler(**msgspec.structs.asdict(record.sampler)) if record.sampler else NO_SAMPLER
    return Entry(_KINDS[record.kind], tuple(record.tokens), record.text, sampler)


_Converted = TypeVar("_Converted")


def _optional(
    read: Callable[[str], _Converted], text: str | None, absent: _Converted
) -> _Converted:
    return absent if text is None else read(text)


def _converted(where: str, build: Callable[[], _Converted]) -> _Converted:
    """Runs `build`; a broken rule becomes an error of the record that says where."""
    try:
        return build()
    except RecordFormatError:
        raise
    except ProtocolError as error:
        raise RecordFormatError(
            f"{where}: {error.message}", expected=error.expected, got=error.got
        ) from error
