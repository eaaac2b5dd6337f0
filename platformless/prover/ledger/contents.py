"""What is inside the sealed rows: typed MessagePack, in the manner of protocol/record.py."""

from __future__ import annotations

import dataclasses

from msgspec import Struct

from ...protocol.delta import Delta, Message, Role
from ...protocol.digests import ProofHash, Salt, StateDigest
from ...protocol.engine_record import EngineRecord, EngineRecordFields
from ...protocol.record import EntryRecord, HeaderRecord, SamplerRecord
from ...protocol.seed import SeedPart
from ...protocol.transcript import Tokens
from .values import KeptCheckpoint, KeptEntry, SessionStart, StreamedTokens


class StartContent(Struct, frozen=True):
    header: HeaderRecord
    host_part: bytes
    client_part: bytes

    @classmethod
    def of(cls, start: SessionStart) -> StartContent:
        header = HeaderRecord.of(start.header)
        return cls(header, start.host_part.value, start.client_part.value)

    def start(self) -> SessionStart:
        return SessionStart(
            self.header.header(), SeedPart(self.host_part), SeedPart(self.client_part)
        )


class EntryContent(Struct, frozen=True):
    entry: EntryRecord
    at_ms: int
    partial: bool
    engine: EngineRecordFields | None = None

    @classmethod
    def of(cls, kept: KeptEntry) -> EntryContent:
        engine = EngineRecordFields.of(kept.engine) if kept.engine else None
        return cls(EntryRecord.of(kept.entry), kept.at_ms, kept.partial, engine)

    def kept(self, number: int) -> KeptEntry:
        engine = EngineRecord.of(self.engine) if self.engine else None
        return KeptEntry(number, self.entry.entry(), self.at_ms, self.partial, engine)


class StreamedContent(Struct, frozen=True):
    tokens: list[int]
    text: str
    sampler: SamplerRecord
    at_ms: int

    @classmethod
    def of(cls, streamed: StreamedTokens) -> StreamedContent:
        sampler = SamplerRecord.of(streamed.sampler)
        return cls(list(streamed.tokens), streamed.text, sampler, streamed.at_ms)

    def streamed(self, number: int, first: int) -> StreamedTokens:
        sampler = self.sampler.sampler()
        return StreamedTokens(number, first, tuple(self.tokens), self.text, sampler, self.at_ms)


class MessageContent(Struct, frozen=True):
    role: Role
    content: str
    timestamp_ms: int
    partial: bool


class DeltaContent(Struct, frozen=True):
    session_id: str
    checkpoint: int
    proof_hash: bytes
    tokens_before: int
    tokens_after: int
    salt: bytes
    messages: list[MessageContent]
    engine: EngineRecordFields | None = None

    @classmethod
    def of(cls, delta: Delta) -> DeltaContent:
        return cls(
            session_id=str(delta.session_id),
            checkpoint=delta.checkpoint,
            proof_hash=delta.proof_hash.value,
            tokens_before=delta.tokens_before,
            tokens_after=delta.tokens_after,
            salt=delta.salt.value,
            messages=[MessageContent(**dataclasses.asdict(message)) for message in delta.messages],
            engine=EngineRecordFields.of(delta.engine) if delta.engine else None,
        )

    def delta(self) -> Delta:
        return Delta(
            session_id=int(self.session_id),
            checkpoint=self.checkpoint,
            proof_hash=ProofHash(self.proof_hash),
            tokens_before=Tokens(self.tokens_before),
            tokens_after=Tokens(self.tokens_after),
            salt=Salt(self.salt),
            messages=tuple(
                Message(message.role, message.content, message.timestamp_ms, message.partial)
                for message in self.messages
            ),
            engine=EngineRecord.of(self.engine) if self.engine else None,
        )


class CheckpointContent(Struct, frozen=True):
    first_entry: int
    end_entry: int
    tokens_before: int
    tokens_after: int
    state_before: bytes
    state_after: bytes
    delta: DeltaContent
    at_ms: int

    @classmethod
    def of(cls, checkpoint: KeptCheckpoint) -> CheckpointContent:
        return cls(
            first_entry=checkpoint.first_entry,
            end_entry=checkpoint.end_entry,
            tokens_before=checkpoint.tokens_before,
            tokens_after=checkpoint.tokens_after,
            state_before=checkpoint.state_before.value,
            state_after=checkpoint.state_after.value,
            delta=DeltaContent.of(checkpoint.delta),
            at_ms=checkpoint.at_ms,
        )

    def checkpoint(self, number: int) -> KeptCheckpoint:
        return KeptCheckpoint(
            number=number,
            first_entry=self.first_entry,
            end_entry=self.end_entry,
            tokens_before=Tokens(self.tokens_before),
            tokens_after=Tokens(self.tokens_after),
            state_before=StateDigest(self.state_before),
            state_after=StateDigest(self.state_after),
            delta=self.delta.delta(),
            at_ms=self.at_ms,
        )
