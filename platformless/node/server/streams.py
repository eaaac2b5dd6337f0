"""Streams: an answer as the frames of a WebSocket, encrypted or in the clear.

Encrypted: chunks are numbered in their associated data, an empty one is the last; then the finish
word under its own associated data; then `stream_end`. Its transcript update travels under the
session key as well.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from ...protocol.envelope import (
    FINAL_ASSOCIATED,
    UPDATE_ASSOCIATED,
    chunk_associated,
    seal_message,
)
from ...protocol.replies import (
    EncryptedChunk,
    EncryptedResponse,
    ErrorReply,
    MessageId,
    QueuePosition,
    Reply,
    SealedPayload,
    StreamChunk,
    StreamEnd,
)
from ...protocol.secrecy import NONCE_BYTES
from ..sessions.answering import AnswerEnd
from .updates import made

Send = Callable[[Reply], Awaitable[None]]

_ACTIONS = {
    "image_generation": ("image", "image_generation_error"),
    "transcode": ("transcode", "transcode_error"),
    "ltx_generate": ("ltx", "ltx_error"),
}
"""Actions of other hosts: the family in their associated data, and the type of their errors."""


class Stream(ABC):
    """One answer on a connection."""

    def __init__(self, send: Send, session_id: int, reply_to: MessageId) -> None:
        self.session_id = str(session_id)
        self.reply_to = reply_to
        self._send = send
        self._tokens = 0

    async def position(self, place: int) -> None:
        await self._send(
            QueuePosition(session_id=self.session_id, id=self.reply_to, position=place)
        )

    @abstractmethod
    async def piece(self, text: str, tokens: int) -> None:
        """Text of so many tokens; returns when it is on its way to the client."""

    @abstractmethod
    async def finish(self, end: AnswerEnd) -> None:
        """The frames after the last piece."""

    def failed(self) -> StreamEnd:
        """The last frame of an answer that failed, behind the error."""
        return StreamEnd(
            session_id=self.session_id, id=self.reply_to, reason="error", tokens_used=self._tokens
        )

    def _end(self, end: AnswerEnd, **transcript: object) -> StreamEnd:
        return StreamEnd(
            session_id=self.session_id,
            id=self.reply_to,
            reason=end.reason,
            tokens_used=end.completion_tokens,
            finish_reason=end.finish.value,
            usage=end.usage,
            duration_ms=end.milliseconds,
            message=end.message,
            **transcript,  # type: ignore[arg-type]
        )


class ClearStream(Stream):
    """In the clear."""

    async def piece(self, text: str, tokens: int) -> None:
        await self._send(
            StreamChunk(session_id=self.session_id, id=self.reply_to, content=text, tokens=tokens)
        )
        self._tokens += tokens

    async def finish(self, end: AnswerEnd) -> None:
        await self._send(self._end(end, transcript=await made(end, end.update.document)))


class EncryptedStream(Stream):
    """Under the session key that the prompt came with."""

    def __init__(self, send: Send, session_id: int, reply_to: MessageId, key: bytes) -> None:
        super().__init__(send, session_id, reply_to)
        self._key = key
        self._index = 0

    async def piece(self, text: str, tokens: int) -> None:
        await self._chunk(text, tokens)
        self._tokens += tokens

    async def finish(self, end: AnswerEnd) -> None:
        """A client that cancelled is told no more than `stream_end`, as the existing node does."""
        if end.reason != "cancelled":
            await self._chunk("", 0, final=True)
            await self._send(
                EncryptedResponse(
                    session_id=self.session_id,
                    id=self.reply_to,
                    payload=self.seal(end.finish.value.encode(), FINAL_ASSOCIATED),
                )
            )
        sealed = await made(end, lambda: self.seal(end.update.encode(), UPDATE_ASSOCIATED))
        await self._send(self._end(end, sealed_transcript=sealed))

    async def _chunk(self, text: str, tokens: int, *, final: bool = False) -> None:
        index = self._index
        self._index += 1
        await self._send(
            EncryptedChunk(
                session_id=self.session_id,
                id=self.reply_to,
                tokens=tokens,
                payload=self.seal(text.encode(), chunk_associated(index), index),
                final=final,
            )
        )

    def seal(self, plaintext: bytes, associated: bytes, index: int | None = None) -> SealedPayload:
        nonce = secrets.token_bytes(NONCE_BYTES)
        encrypted = seal_message(plaintext, self._key, nonce=nonce, associated=associated)
        return SealedPayload.of(encrypted, index)


def other_action(stream: EncryptedStream, action: str) -> Reply:
    """The answer to an action that other hosts offer: at once, so that nobody waits for it."""
    message = f"this node does not offer {action[:40]}"
    if action not in _ACTIONS:
        return ErrorReply(
            code="NOT_SUPPORTED",
            message=message,
            session_id=stream.session_id,
            id=stream.reply_to,
        )
    family, kind = _ACTIONS[action]
    told: dict[str, object] = {"type": kind, "error_code": "NOT_SUPPORTED", "error": message}
    if family != "image":
        told["error"] = {"code": "NOT_SUPPORTED", "message": message}
    associated = f"encrypted_{family}_response".encode()
    return EncryptedResponse(
        session_id=stream.session_id,
        id=stream.reply_to,
        payload=stream.seal(json.dumps(told).encode(), associated),
    )
