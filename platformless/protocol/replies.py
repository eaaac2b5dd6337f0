"""Frames of the WebSocket, from host to client.

Each is a JSON object with a `type`; what is None or empty is left out. Fields that the existing
client does not know, it passes over: they are marked here. `id` echoes the request's.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from ..decoding import json_decoder
from .envelope import Encrypted
from .update import UpdateDocument

MessageId = str | int | None
FinishWord = Literal["stop", "length", "cancelled"]


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every frame may carry."""

    session_id: str | None = None
    id: MessageId = None


class Connected(Reply, frozen=True, kw_only=True, tag="connected"):
    """Greets a new connection."""

    message: str
    host: str | None = None
    """The host's account; new."""


class SessionInitAck(Reply, frozen=True, kw_only=True, tag="session_init_ack"):
    """The session may be used. The existing client reads nothing of it."""

    status: str
    job_id: int | None
    chain_id: int | None
    message: str = ""
    client_address: str | None = None
    """Whose key signed the init."""
    seed_commitment: str | None = None
    """New: what the host commits to before the client names its part of the seed."""
    tokens: int | None = None
    """New: completion tokens of the transcript so far."""
    entries: int | None = None
    """New: entries of the transcript so far."""
    state: str | None = None
    """New: the state that commits to them."""
    tokens_left: int | None = None
    """New: tokens that the deposit still pays for."""
    session_token: str | None = None
    """New: with what a session in the clear may be taken up again."""


class SealedPayload(Struct, frozen=True, omit_defaults=True):
    """An encrypted payload; hex without `0x`."""

    ciphertextHex: str  # noqa: N815
    nonceHex: str  # noqa: N815
    aadHex: str = ""  # noqa: N815
    index: int | None = None

    @classmethod
    def of(cls, encrypted: Encrypted, index: int | None = None) -> SealedPayload:
        return cls(
            encrypted.ciphertext.hex(), encrypted.nonce.hex(), encrypted.associated.hex(), index
        )


class EncryptedChunk(Reply, frozen=True, kw_only=True, tag="encrypted_chunk"):
    """A piece of an answer, UTF-8 text under the session key."""

    tokens: int
    payload: SealedPayload
    final: bool = False


class EncryptedResponse(Reply, frozen=True, kw_only=True, tag="encrypted_response"):
    """Ends an answer with its finish word; or answers another action than a prompt."""

    payload: SealedPayload


class StreamChunk(Reply, frozen=True, kw_only=True, tag="stream_chunk"):
    """A piece of an answer in the clear."""

    content: str
    tokens: int


class Usage(Struct, frozen=True):
    """Tokens of one answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    context_window_size: int


class StreamEnd(Reply, frozen=True, kw_only=True, tag="stream_end"):
    """The last frame of every answer."""

    reason: str
    """complete, cancelled, error, or new: deposit_used_up, shutting_down."""
    tokens_used: int
    finish_reason: FinishWord | None = None
    usage: Usage | None = None
    duration_ms: int | None = None
    message: str | None = None
    """New: what happened, for a person, unless the answer is complete."""
    transcript: UpdateDocument | None = None
    """New: a transcript update, in sessions in the clear."""
    sealed_transcript: SealedPayload | None = None
    """New: a transcript update under the session key (also when the answer was cancelled)."""


class ErrorReply(Reply, frozen=True, kw_only=True, tag="error"):
    """A request was refused."""

    code: str
    message: str
    prompt_tokens: int | None = None
    context_window_size: int | None = None
    retry_after: int | None = None
    """New: whole seconds after which it may be tried again."""


class QueuePosition(Reply, frozen=True, kw_only=True, tag="queue_position"):
    """New: how many requests are before this one."""

    position: int


class Pong(Reply, frozen=True, kw_only=True, tag="pong"):
    """New: answers `ping`."""


class Acknowledged(Reply, frozen=True, kw_only=True, tag="acknowledged"):
    """New: the client's acknowledgement is kept."""

    tokens: int


class SessionEnded(Reply, frozen=True, kw_only=True, tag="session_ended"):
    """New: answers `session_end`; the host proves and settles."""

    tokens: int
    unclaimed: int
    """Tokens that no checkpoint will claim: too few for the contract."""


class ProofSubmitted(Reply, frozen=True, kw_only=True, tag="proof_submitted"):
    """A proof of this session was submitted to the chain."""

    proof_id: str
    size_bytes: int
    timestamp: int


class ProofProgress(Reply, frozen=True, kw_only=True, tag="proof_progress"):
    """New: how far the proof of a checkpoint is, whenever that has changed."""

    checkpoint: int
    state: str
    """recorded, proving, proven, published, submitted, confirmed or failed."""
    percent: int
    """Of the proof."""
    segments_done: int
    segments: int
    problem: str | None = None
    """The code of what went wrong, or keeps it waiting."""


class CheckpointSubmitted(Reply, frozen=True, kw_only=True, tag="checkpoint_submitted"):
    """A checkpoint's delta was published."""

    checkpoint_index: int
    timestamp: int


class UploadVectorsResponse(Reply, frozen=True, kw_only=True, tag="uploadVectorsResponse"):
    requestId: str | None = None  # noqa: N815
    status: str
    uploaded: int
    error: str


class SearchVectorsResponse(Reply, frozen=True, kw_only=True, tag="searchVectorsResponse"):
    requestId: str | None = None  # noqa: N815
    results: list[str]
    error: str


AnyReply = (
    Connected
    | SessionInitAck
    | EncryptedChunk
    | EncryptedResponse
    | StreamChunk
    | StreamEnd
    | ErrorReply
    | QueuePosition
    | Pong
    | Acknowledged
    | SessionEnded
    | ProofSubmitted
    | ProofProgress
    | CheckpointSubmitted
    | UploadVectorsResponse
    | SearchVectorsResponse
)

_encoder = msgspec.json.Encoder()
_decoder = json_decoder(AnyReply)


def encode(reply: Reply) -> str:
    """The text of a frame."""
    return _encoder.encode(reply).decode()


def decode(data: str | bytes) -> AnyReply | None:
    """Reads a frame; None for one that is not known, as clients pass over them."""
    try:
        reply: AnyReply = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return reply
