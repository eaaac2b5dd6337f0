"""One answer: its text while it comes, and a report once it is verified."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from ..closing import AsyncClosing
from ..protocol.digests import StateDigest
from ..protocol.replies import (
    EncryptedChunk,
    EncryptedResponse,
    ErrorReply,
    QueuePosition,
    StreamEnd,
    Usage,
)
from ..protocol.transcript import Tokens
from ..protocol.update import TranscriptUpdate
from .connection import HostConnection
from .errors import AnswerFailed, ClientError, ConnectionProblem, HostRefused
from .receiving import SealedAnswer
from .requests import Question

KEY_NOT_FOUND = "SESSION_KEY_NOT_FOUND"
_FAILED = "error"


@dataclass(frozen=True, slots=True)
class Sent:
    """A question that is under way on a connection."""

    connection: HostConnection
    name: str
    """The `id` that replies echo."""
    sealed: SealedAnswer
    session_id: int


@dataclass(frozen=True, slots=True)
class Report:
    """A verified answer. Times in seconds, from the moment the prompt was sent."""

    text: str
    tokens: Tokens
    """Completion tokens of this answer."""
    finish_reason: str | None
    """stop, length or cancelled."""
    reason: str
    """complete, cancelled, error, deposit_used_up or shutting_down."""
    message: str | None
    """What the host says about an answer that is not complete."""
    session_tokens: Tokens
    """Completion tokens of the session after this answer; these are acknowledged."""
    state: StateDigest
    """The verified state after this answer."""
    seconds_to_first_token: float | None
    seconds: float
    usage: Usage | None
    """As the host says; only its completion tokens are verified."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended, before it is verified."""

    end: StreamEnd
    finish_reason: str | None
    update: TranscriptUpdate | None


class Asking(Protocol):
    """What an answer needs of its session."""

    async def send_again(self, question: Question) -> Sent:
        """Begins anew, as the host has lost the session's key, and sends the same prompt."""

    def verify(self, answer: Answer, ending: Ending) -> Report:
        """Raises HostLied; otherwise the answer is part of the verified history."""

    async def acknowledge(self) -> None:
        """Signs what is verified, and waits until the host has the signature."""

    async def broke_off(self, answer: Answer, error: ClientError) -> None:
        """The answer will not go on."""


class Answer(AsyncClosing):
    """Iterate over it for the pieces of its text; after the last one it is verified and
    acknowledged, and `report` is there. As a context manager it is cancelled at the block's end
    when it was not read to its own."""

    def __init__(self, asking: Asking, sent: Sent, question: Question) -> None:
        self.queue_position: int | None = None
        """Requests before this one, when the host told last."""
        self._asking = asking
        self._sent = sent
        self._question = question
        self._sent_again = False
        self._pieces: list[str] = []
        self._finish_reason: str | None = None
        self._report: Report | None = None
        self._started = time.monotonic()
        self._first_after: float | None = None
        self._over = False
        self._cancelled = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes: it ended, or broke off."""
        return self._over

    @property
    def received(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    @property
    def report(self) -> Report:
        """Raises:
        RuntimeError: before the answer is verified.
        """
        if self._report is None:
            raise RuntimeError("the answer has not ended, or was not verified")
        return self._report

    @property
    def seconds(self) -> float:
        """Since the prompt was sent."""
        return time.monotonic() - self._started

    @property
    def seconds_to_first_token(self) -> float | None:
        return self._first_after

    async def cancel(self) -> None:
        """Asks the host to stop. What it has sent is verified and paid for: read on to the end.

        Raises:
            ConnectionLost
        """
        if self._over or self._cancelled:
            return
        self._cancelled = True
        await self._sent.connection.send(
            {
                "type": "stream_cancel",
                "session_id": str(self._sent.session_id),
                "reason": "user_cancelled",
            }
        )

    async def text(self) -> str:
        """Reads to the end: the whole text, verified. With the errors of iterating."""
        async for _ in self:
            pass
        return self.received

    async def close(self) -> None:
        """Cancels an answer that is still coming, and verifies what came of it."""
        if not self._over:
            with contextlib.suppress(ConnectionProblem):
                await self.cancel()
            await self.text()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """Raises:
        HostLied: the host is not to be trusted; nothing was acknowledged.
        HostRefused: the host does not answer this, or failed in the middle (AnswerFailed).
        ConnectionProblem: connect again; the next answer settles this one.
        """
        if self._over:
            raise StopAsyncIteration
        try:
            piece = await self._next()
        except ClientError as error:
            self._over = True
            await self._asking.broke_off(self, error)
            raise
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def _next(self) -> str | None:
        """The next piece; None when the answer has ended well."""
        limits = self._sent.connection.limits
        while True:
            seconds = limits.gap_seconds if self._pieces else limits.first_chunk_seconds
            reply = await self._sent.connection.receive(seconds)
            if reply.id is not None and str(reply.id) != self._sent.name:
                continue
            if isinstance(reply, QueuePosition):
                self.queue_position = reply.position
            elif isinstance(reply, EncryptedChunk):
                text = self._sent.sealed.chunk(reply)
                if text:
                    if self._first_after is None:
                        self._first_after = self.seconds
                    self._pieces.append(text)
                    return text
            elif isinstance(reply, EncryptedResponse):
                self._finish_reason = self._sent.sealed.finish(reply)
            elif isinstance(reply, StreamEnd):
                await self._end(reply)
                return None
            elif isinstance(reply, ErrorReply):
                await self._refused(reply)

    async def _refused(self, reply: ErrorReply) -> None:
        if reply.code != KEY_NOT_FOUND or self._pieces or self._sent_again:
            raise HostRefused(reply.code, reply.message)
        self._sent_again = True
        self._sent = await self._asking.send_again(self._question)

    async def _end(self, end: StreamEnd) -> None:
        sealed = end.sealed_transcript
        update = self._sent.sealed.update(sealed) if sealed is not None else None
        if update is None and end.reason == _FAILED:
            raise AnswerFailed(end.reason, end.message or "the answer failed")
        ending = Ending(end, self._finish_reason or end.finish_reason, update)
        self._report = self._asking.verify(self, ending)
        self._over = True
        await self._asking.acknowledge()
        if end.reason == _FAILED:
            raise AnswerFailed(end.reason, end.message or "the answer failed")
