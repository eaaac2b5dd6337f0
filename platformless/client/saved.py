"""A client's session as JSON, so that another process can go on with it.

It holds the conversation and the session's salt: private, to be kept like the conversation. No key
is in it. On reading, the state is computed again from the entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ..decoding import decode_json
from ..protocol.digests import Address, ModelId, StateDigest, WeightsRoot
from ..protocol.engine_record import EngineRecord, EngineRecordFields
from ..protocol.errors import ProtocolError
from ..protocol.record import EntryRecord, HeaderRecord, SamplerRecord
from ..protocol.secrecy import PublicKeyBytes
from ..protocol.seed import SeedCommitment, SeedPart
from ..protocol.transcript import State
from .errors import SavedStateBroken
from .turns import Exchange
from .verifying import Agreed, VerifiedTranscript

_FORMAT: Literal["client-session/1"] = "client-session/1"


def saved_path(folder: Path, session_id: int) -> Path:
    """Where a client with this folder keeps a session; an auditor takes the file as it is."""
    return folder / f"session-{session_id}.json"


@dataclass(frozen=True, slots=True)
class SavedSession:
    """All that must not be lost of a session."""

    host_key: PublicKeyBytes
    """Of the host's account; inits are sealed for it."""
    transcript: VerifiedTranscript
    distrust: str | None = None
    """Why nothing more is asked of this host: what it lied about."""

    def encode(self) -> bytes:
        """JSON in UTF-8."""
        transcript = self.transcript
        agreed = transcript.agreed
        state = transcript.state
        return msgspec.json.encode(
            _Document(
                format=_FORMAT,
                chain_id=agreed.chain_id,
                marketplace=str(agreed.marketplace),
                session_id=str(agreed.session_id),
                host=str(agreed.host),
                client=str(agreed.client),
                model_id=str(agreed.model_id),
                price=str(agreed.price),
                weights_root=str(agreed.weights_root) if agreed.weights_root else None,
                host_key=str(self.host_key),
                client_part=str(transcript.client_part),
                commitment=str(transcript.commitment) if transcript.commitment else None,
                header=HeaderRecord.of(transcript.header) if transcript.header else None,
                entries=[EntryRecord.of(entry) for entry in transcript.entries],
                tokens=transcript.tokens,
                state=str(state.digest) if state else None,
                unsettled=[_Exchange.of(one) for one in transcript.unsettled],
                distrust=self.distrust,
                engine=EngineRecordFields.of(transcript.engine) if transcript.engine else None,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> SavedSession:
        """Raises:
        SavedStateBroken: when the bytes are no saved session, or do not add up.
        """
        try:
            fields = decode_json(data, _Document)
            return cls(
                host_key=PublicKeyBytes.from_hex(fields.host_key),
                transcript=_transcript(fields),
                distrust=fields.distrust,
            )
        except (msgspec.MsgspecError, RecursionError) as error:
            raise SavedStateBroken("not a saved session", got=str(error)) from error
        except (ProtocolError, ValueError) as error:
            raise SavedStateBroken("a saved session with a wrong value", got=str(error)) from error


class _Exchange(Struct, frozen=True, forbid_unknown_fields=True):
    """An older release named no sampler and no new context."""

    prompt: str
    max_tokens: int
    received: str
    sampler: SamplerRecord | None = None
    new_context: bool | None = None

    @classmethod
    def of(cls, exchange: Exchange) -> _Exchange:
        return cls(
            exchange.prompt,
            exchange.max_tokens,
            exchange.received,
            SamplerRecord.of(exchange.sampler) if exchange.sampler else None,
            exchange.new_context,
        )

    def exchange(self) -> Exchange:
        sampler = self.sampler.sampler() if self.sampler else None
        return Exchange(self.prompt, self.max_tokens, self.received, sampler, self.new_context)


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that may pass 2^53 are decimal strings; bytes are hex."""

    format: Literal["client-session/1"]
    chain_id: int
    marketplace: str
    session_id: str
    host: str
    client: str
    model_id: str
    price: str
    weights_root: str | None
    host_key: str
    client_part: str
    commitment: str | None
    header: HeaderRecord | None
    entries: list[EntryRecord]
    tokens: int
    state: str | None
    unsettled: list[_Exchange]
    distrust: str | None
    engine: EngineRecordFields | None = None


def _transcript(fields: _Document) -> VerifiedTranscript:
    agreed = Agreed(
        chain_id=fields.chain_id,
        marketplace=Address.from_hex(fields.marketplace),
        session_id=int(fields.session_id),
        host=Address.from_hex(fields.host),
        client=Address.from_hex(fields.client),
        model_id=ModelId.from_hex(fields.model_id),
        price=int(fields.price),
        weights_root=WeightsRoot.from_hex(fields.weights_root) if fields.weights_root else None,
    )
    header = fields.header.header() if fields.header else None
    entries = tuple(entry.entry() for entry in fields.entries)
    if header is None and (entries or fields.state is not None):
        raise SavedStateBroken("entries without a header", got=f"{len(entries)} entries")
    state = State.initial(header).extend(header, entries) if header else None
    saved = (fields.tokens, StateDigest.from_hex(fields.state) if fields.state else None)
    computed = (state.tokens, state.digest) if state else (0, None)
    if saved != computed:
        raise SavedStateBroken(
            "the entries lead to another state than was saved",
            expected=f"{saved[0]} tokens, {saved[1]}",
            got=f"{computed[0]} tokens, {computed[1]}",
        )
    return VerifiedTranscript(
        agreed=agreed,
        client_part=SeedPart.from_hex(fields.client_part),
        commitment=SeedCommitment.from_hex(fields.commitment) if fields.commitment else None,
        header=header,
        state=state,
        entries=entries,
        engine=EngineRecord.of(fields.engine) if fields.engine else None,
        unsettled=tuple(one.exchange() for one in fields.unsettled),
    )
