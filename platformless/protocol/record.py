"""A session record: a transcript and its checkpoints as a JSON document.

This is what a proof is made from by hand (`prove-session prove RECORD.json`): private, since it
holds the text and the salt (docs/formats.md, "Session record").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from ..decoding import decode_json
from .acknowledgement import AcknowledgementSignature
from .digests import Address, DeltaDigest, ModelId, Salt, Seed, TraceRoot, WeightsRoot
from .errors import ProtocolError, RecordFormatError
from .header import SessionHeader
from .terms import SessionTerms
from .transcript import NO_SAMPLER, Entry, Kind, Sampler, State
from .window import NO_DELTA, NO_TRACE, Window

_KindName = Literal["prompt", "completion", "end"]
_KINDS: dict[_KindName, Kind] = {
    "prompt": Kind.PROMPT,
    "completion": Kind.COMPLETION,
    "end": Kind.END,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


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

    @classmethod
    def of(cls, header: SessionHeader) -> HeaderRecord:
        terms = header.terms
        return cls(
            chain_id=terms.chain_id,
            marketplace=str(terms.marketplace),
            session_id=str(terms.session_id),
            host=str(terms.host),
            client=str(terms.client),
            model_id=str(terms.model_id),
            weights_root=str(terms.weights_root),
            price=str(terms.price),
            seed=str(header.seed),
            salt=str(header.salt),
        )

    def header(self) -> SessionHeader:
        """Raises:
        ProtocolError: when a value breaks its rules.
        """
        terms = SessionTerms(
            chain_id=self.chain_id,
            marketplace=Address.from_hex(self.marketplace),
            session_id=_decimal(self.session_id),
            host=Address.from_hex(self.host),
            client=Address.from_hex(self.client),
            model_id=ModelId.from_hex(self.model_id),
            weights_root=WeightsRoot.from_hex(self.weights_root),
            price=_decimal(self.price),
        )
        return SessionHeader(terms, Seed.from_hex(self.seed), Salt.from_hex(self.salt))


class SamplerRecord(Struct, frozen=True, forbid_unknown_fields=True):
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repeat_penalty: float
    repeat_last_n: int
    frequency_penalty: float
    presence_penalty: float

    @classmethod
    def of(cls, sampler: Sampler) -> SamplerRecord:
        return cls(**dataclasses.asdict(sampler))

    def sampler(self) -> Sampler:
        """Raises:
        ProtocolError: when a value breaks its rules.
        """
        return Sampler(**msgspec.structs.asdict(self))


class EntryRecord(Struct, frozen=True, forbid_unknown_fields=True):
    kind: _KindName
    tokens: list[int] = []
    text: str = ""
    sampler: SamplerRecord | None = None

    @classmethod
    def of(cls, entry: Entry) -> EntryRecord:
        sampled = entry.kind is Kind.COMPLETION
        sampler = SamplerRecord.of(entry.sampler) if sampled else None
        return cls(_NAMES[entry.kind], list(entry.tokens), entry.text, sampler)

    def entry(self) -> Entry:
        """Raises:
        ProtocolError: when a value breaks its rules.
        """
        sampler = self.sampler.sampler() if self.sampler else NO_SAMPLER
        return Entry(_KINDS[self.kind], tuple(self.tokens), self.text, sampler)


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
            return decode_json(data, cls)
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
            _converted(f"entry {number}", entry.entry)
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
        return self.header.header()

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
