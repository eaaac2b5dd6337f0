"""`POST /v1/inference`: a prompt of a session in the clear, answered at once or as server-sent
events.

A session that nobody uses yet is bound by the first request; its answer carries the session's
token, which later requests show (`Authorization: Bearer …`). A depositor may answer a wallet
challenge instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ...errors import PlatformlessError
from ...log_context import about
from ...protocol.envelope import WalletProof
from ...protocol.flattened import flatten
from ...protocol.frames import PromptRequest, number
from ...protocol.replies import ErrorReply, Usage
from ...protocol.update import UpdateDocument
from ..errors import ClientGone, OutOfOrder
from ..guard.prompts import MAX_PROMPT_BYTES
from ..sessions.answering import AnswerEnd
from ..sessions.live import LiveSession
from ..sessions.sessions import Sessions
from .bodies import read_body
from .refusals import refusal
from .replies import json_reply, name_request
from .updates import made

_BYTES_ESCAPED = 6
"""Of one byte of text, at most, where JSON writes it as an escape."""
_BODY_ROOM = 256 << 10
"""For everything in a body that is not the prompt."""
_BEARER = "bearer "
_UNREAD_PIECES = 4

Number = int | str | None


class Said(Struct, frozen=True):
    """An earlier message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class InferenceBody(Struct, frozen=True, kw_only=True):
    """Both spellings of ids are taken; the job's id is the session's."""

    prompt: str
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stream: bool = False
    session_id: Number = None
    sessionId: Number = None  # noqa: N815
    job_id: Number = None
    jobId: Number = None  # noqa: N815
    request_id: str | None = None
    conversation_context: list[Said] = []
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    stop: Annotated[list[str], Meta(max_length=16)] = []
    client_seed: str | None = None
    transcript_from: Annotated[int, Meta(ge=0)] | None = None
    wallet: WalletProof | None = None

    def prompt_request(self) -> PromptRequest:
        earlier = [(one.role, one.content) for one in self.conversation_context]
        return PromptRequest(
            prompt=flatten([*earlier, ("user", self.prompt)]) if earlier else self.prompt,
            model=self.model,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repeat_penalty=self.repeat_penalty,
            stop=self.stop,
            client_seed=self.client_seed,
            transcript_from=self.transcript_from,
        )


class InferenceReply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer. As the last event of a stream it has no content."""

    model: str
    content: str = ""
    tokens_used: int
    finish_reason: str
    reason: str
    message: str | None = None
    request_id: str
    session_id: str
    session_token: str
    chain_id: int
    usage: Usage
    transcript: UpdateDocument


class PieceEvent(Struct, frozen=True):
    """A piece of a streamed answer."""

    content: str
    tokens: int


class QueueEvent(Struct, frozen=True):
    """How many requests are before this one."""

    queue_position: int


class InferenceEndpoint:
    """Answers over HTTP.

    Args:
        prompt_bytes: The longest prompt, in UTF-8.
    """

    def __init__(self, sessions: Sessions, prompt_bytes: int = MAX_PROMPT_BYTES) -> None:
        self._sessions = sessions
        self._largest_body = _BYTES_ESCAPED * prompt_bytes + _BODY_ROOM

    def routes(self) -> list[Route]:
        return [Route("/v1/inference", self.infer, methods=["POST"])]

    async def infer(self, request: Request) -> Response:
        body = await read_body(request, InferenceBody, self._largest_body)
        name = name_request(request, body.request_id)
        session_id = number("session id", body.job_id, body.jobId, body.session_id, body.sessionId)
        if session_id is None:
            raise OutOfOrder("no session is named", expected="session_id or job_id")
        session, token = await self._sessions.admission.begin_clear(
            session_id, _bearer(request), body.wallet
        )
        asked = _Asked(session, body.prompt_request(), name, token)
        if body.stream:
            return StreamingResponse(
                self._events(asked),
                media_type="text/event-stream",
                headers={"cache-control": "no-store", "x-accel-buffering": "no"},
            )
        whole = _Whole()
        watching = asyncio.create_task(_cancel_when_gone(request, session))
        try:
            with about(request=name):
                end = await self._sessions.answer(session, asked.request, whole)
        finally:
            watching.cancel()
        return await made(end, lambda: json_reply(asked.reply(end, "".join(whole.pieces))))

    async def _events(self, asked: _Asked) -> AsyncIterator[bytes]:
        """Events until the answer ends; when the client goes away, so does the answer."""
        output = _Events()
        with about(request=asked.name):
            answer = self._sessions.answer(asked.session, asked.request, output)
            answering = asyncio.create_task(answer)
        answering.add_done_callback(output.end)
        try:
            while (event := await output.next()) is not None:
                yield _event(event)
            try:
                end = await answering
                last = await made(end, lambda: _event(asked.reply(end, "")))
            except PlatformlessError as error:
                last = _event(refusal(error, session_id=asked.session.id))
            yield last
            yield b"data: [DONE]\n\n"
        finally:
            output.leave()
            if not answering.done():
                asked.session.cancel()
                await asyncio.wait({answering})


@dataclass(frozen=True, slots=True)
class _Asked:
    session: LiveSession
    request: PromptRequest
    name: str
    token: str

    def reply(self, end: AnswerEnd, content: str) -> InferenceReply:
        admitted = self.session.admitted
        return InferenceReply(
            model=self.request.model or str(admitted.model_id),
            content=content,
            tokens_used=end.completion_tokens,
            finish_reason=end.finish.value,
            reason=end.reason,
            message=end.message,
            request_id=self.name,
            session_id=str(self.session.id),
            session_token=self.token,
            chain_id=admitted.chain_id,
            usage=end.usage,
            transcript=end.update.document(),
        )


class _Whole:
    """An answer that is sent when it is complete."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    async def position(self, place: int) -> None:
        """Nobody is told."""

    async def piece(self, text: str, tokens: int) -> None:  # noqa: ARG002
        self.pieces.append(text)


class _Events:
    """An answer as events; a few wait for the client, then the answer does."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Struct | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_UNREAD_PIECES)
        self._gone = False

    async def position(self, place: int) -> None:
        self._queue.put_nowait(QueueEvent(place))

    async def piece(self, text: str, tokens: int) -> None:
        await self._room.acquire()
        if self._gone:
            raise ClientGone("the client went away")
        self._queue.put_nowait(PieceEvent(text, tokens))

    async def next(self) -> Struct | None:
        event = await self._queue.get()
        if isinstance(event, PieceEvent):
            self._room.release()
        return event

    def end(self, answering: asyncio.Task[AnswerEnd]) -> None:
        """The answer has ended, well or not: that is seen here, as the client may be gone."""
        if not answering.cancelled():
            answering.exception()
        self._queue.put_nowait(None)

    def leave(self) -> None:
        """Nobody reads any more."""
        self._gone = True
        self._room.release()


async def _cancel_when_gone(request: Request, session: LiveSession) -> None:
    """Nobody shall pay for what goes on after the client went away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    session.cancel()


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization", "")
    return header[len(_BEARER) :].strip() if header[: len(_BEARER)].lower() == _BEARER else None


def _event(event: Struct) -> bytes:
    if isinstance(event, ErrorReply):
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"
    return b"data: " + msgspec.json.encode(event) + b"\n\n"
