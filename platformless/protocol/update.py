"""An update: what the host tells its client of the transcript when an answer ends.

With it the client computes the commitment again from what it received. It holds the salt, so it
travels encrypted wherever the conversation does. Layout: docs/formats.md, "Transcript update".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct

from ..decoding import decode_json
from .digests import StateDigest
from .engine_record import EngineRecord, EngineRecordFields
from .errors import ProtocolError, UpdateRefused
from .header import SessionHeader
from .record import EntryRecord, HeaderRecord
from .seed import SeedCommitment, SeedPart, seed_commitment, session_seed
from .transcript import Entry, State, Tokens

_FORMAT: Literal["transcript-update/1"] = "transcript-update/1"


class UpdateDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """An update as JSON."""

    format: Literal["transcript-update/1"]
    header: HeaderRecord
    host_part: str
    client_part: str
    first_entry: int
    entries: list[EntryRecord]
    tokens: int
    state: str
    engine: EngineRecordFields | None = None


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """The header, both parts of the seed, some entries, and where they lead."""

    header: SessionHeader
    host_part: SeedPart
    client_part: SeedPart
    first_entry: int
    """Number of the first of `entries`."""
    entries: tuple[Entry, ...]
    tokens: Tokens
    """Completion tokens after the last entry."""
    state: StateDigest
    """After the last entry."""
    engine: EngineRecord | None = None
    """How the host's engine was set for `entries`; None where it does not say."""

    def document(self) -> UpdateDocument:
        return UpdateDocument(
            format=_FORMAT,
            header=HeaderRecord.of(self.header),
            host_part=str(self.host_part),
            client_part=str(self.client_part),
            first_entry=self.first_entry,
            entries=[EntryRecord.of(entry) for entry in self.entries],
            tokens=self.tokens,
            state=str(self.state),
            engine=EngineRecordFields.of(self.engine) if self.engine else None,
        )

    def encode(self) -> bytes:
        """JSON in UTF-8."""
        return msgspec.json.encode(self.document())

    @classmethod
    def decode(cls, data: bytes) -> TranscriptUpdate:
        """Raises:
        UpdateRefused: when the bytes are not an update.
        """
        try:
            return cls.read(decode_json(data, UpdateDocument))
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UpdateRefused("not a transcript update", got=str(error)) from error

    @classmethod
    def read(cls, fields: UpdateDocument) -> TranscriptUpdate:
        """Raises:
        UpdateRefused: when a value breaks its rules.
        """
        try:
            return cls(
                header=fields.header.header(),
                host_part=SeedPart.from_hex(fields.host_part),
                client_part=SeedPart.from_hex(fields.client_part),
                first_entry=fields.first_entry,
                entries=tuple(entry.entry() for entry in fields.entries),
                tokens=Tokens(fields.tokens),
                state=StateDigest.from_hex(fields.state),
                engine=EngineRecord.of(fields.engine) if fields.engine else None,
            )
        except ProtocolError as error:
            raise UpdateRefused("not a transcript update", got=error.message) from error

    def check_seed(self, commitment: SeedCommitment, client_part: SeedPart) -> None:
        """Whether the seed is the one that both sides made.

        Raises:
            UpdateRefused
        """
        if self.client_part != client_part:
            raise UpdateRefused(
                "another contribution to the seed", expected=client_part, got=self.client_part
            )
        if seed_commitment(self.host_part) != commitment:
            raise UpdateRefused(
                "not the host's part that it committed to",
                expected=commitment,
                got=seed_commitment(self.host_part),
            )
        seed = session_seed(self.host_part, self.client_part)
        if self.header.seed != seed:
            raise UpdateRefused(
                "the seed is not made of both parts", expected=seed, got=self.header.seed
            )

    def follow(self, state: State) -> State:
        """The state after the entries, computed from `state`, which is before the first of them.

        Raises:
            UpdateRefused: when the entries do not follow, or do not lead where the host says.
        """
        if self.first_entry != state.entries:
            raise UpdateRefused(
                "entries are missing or repeated", expected=state.entries, got=self.first_entry
            )
        try:
            after = state.extend(self.header, self.entries)
        except ProtocolError as error:
            raise UpdateRefused("the entries do not follow", got=error.message) from error
        if (after.tokens, after.digest) != (self.tokens, self.state):
            raise UpdateRefused(
                "the entries lead to another state",
                expected=f"{self.tokens} tokens, {self.state}",
                got=f"{after.tokens} tokens, {after.digest}",
            )
        return after
