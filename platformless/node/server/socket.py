"""The WebSocket: one connection of a client, from its first frame to its last.

The reader takes frames in order and never waits for the client to read: an answer is streamed by
a task of its own, so that a cancel is heard while it runs, and short replies wait in a queue of
their own. What cannot be used gets an error with a code, and the connection goes on; unless its
client floods it, is blocked meanwhile, or has nothing to say (`life`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ...errors import PlatformlessError
from ...protocol import frames, replies
from ...protocol.acknowledgement import AcknowledgementSignature
from ...protocol.digests import Address, StateDigest
from ...protocol.envelope import open_client_message
from ...protocol.errors import FrameRefused, ProtocolError
from ...protocol.frames import ClientFrame, PromptRequest
from ...protocol.replies import Reply
from ..errors import (
    AcknowledgementRefused,
    AnswerUnderWay,
    ClientGone,
    NotServedHere,
    OutOfOrder,
    TooManySockets,
)
from ..guard.admission import client_of
from ..guard.buckets import Bucket, Limit
from ..guard.client_address import ClientAddress
from ..guard.errors import AddressBlocked, RateLimited
from ..guard.guard import Guard
from ..sessions.holders import key_holder, token_holder
from ..sessions.live import LiveSession
from ..sessions.sessions import Sessions
from .life import Life
from .outgoing import POLICY, Outgoing
from .refusals import refusal
from .streams import ClearStream, EncryptedStream, Stream, other_action

log = logging.getLogger(__name__)

MOST_SOCKETS = 1000
IDLE_SECONDS = 600.0
_TOLERATED = Limit(per_second=0.5, burst=20)
"""Messages that may be refused for their rate before a connection is closed."""
_TRY_AGAIN_LATER = 1013
_GREETING = "WebSocket connected successfully"


class SocketEndpoint:
    """`/v1/ws`.

    Args:
        guard: Asked for every message; None: one with the default limits.
        idle_seconds: A connection on which nothing is said for so long is closed.
    """

    def __init__(
        self,
        sessions: Sessions,
        host: Address,
        most_sockets: int = MOST_SOCKETS,
        guard: Guard | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._host = host
        self._most_sockets = most_sockets
        self._guard = guard or Guard()
        self._idle_seconds = idle_seconds
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    def routes(self) -> list[WebSocketRoute]:
        return [WebSocketRoute("/v1/ws", self.serve)]

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        connection = Connection(
            socket,
            self._sessions,
            self._guard,
            client_of(self._guard, socket.scope),
            self._idle_seconds,
        )
        if len(self._open) >= self._most_sockets:
            self._guard.counted.refused.labels("node_full").inc()
            full = TooManySockets("too many connections", expected=f"at most {self._most_sockets}")
            await socket.send_text(replies.encode(refusal(full)))
            await socket.close(_TRY_AGAIN_LATER)
            return
        self._open.add(connection)
        try:
            await connection.run(replies.Connected(message=_GREETING, host=str(self._host)))
        finally:
            self._open.discard(connection)


class Connection:
    """One client's connection. It uses one session at a time."""

    def __init__(
        self,
        socket: WebSocket,
        sessions: Sessions,
        guard: Guard,
        client: ClientAddress,
        idle_seconds: float,
    ) -> None:
        self._socket = socket
        self._sessions = sessions
        self._guard = guard
        self._client = client
        self._tolerated = Bucket(_TOLERATED)
        self._life = Life(idle_seconds, self._is_at_work)
        self._outgoing = Outgoing(socket, self._life.goes_on)
        self._session: LiveSession | None = None
        self._holder = ""
        self._token: str | None = None
        """Of the session, when it is in the clear."""
        self._answers: dict[asyncio.Task[None], LiveSession] = {}
        self._handlers: dict[type[ClientFrame], Callable[[Any], Awaitable[None]]] = {
            frames.EncryptedInitFrame: self._begin,
            frames.SessionInitFrame: self._begin_clear,
            frames.EncryptedMessageFrame: self._encrypted_message,
            frames.PromptFrame: self._prompt,
            frames.InferenceFrame: self._inference,
            frames.CancelFrame: self._cancel,
            frames.PingFrame: self._ping,
            frames.AcknowledgeFrame: self._acknowledge,
            frames.EndFrame: self._end,
            frames.UploadVectorsFrame: self._upload_vectors,
            frames.SearchVectorsFrame: self._search_vectors,
            frames.TranscodeCancelFrame: _nothing,
            frames.LtxCancelFrame: _nothing,
        }

    async def run(self, greeting: Reply) -> None:
        """Serves the client until it is gone."""
        watching = asyncio.create_task(self._watch())
        try:
            self.reply(greeting)
            while not self._outgoing.is_over:
                await self._outgoing.room()
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                data = message.get("text") or message.get("bytes") or b""
                await self._take(data)
        except WebSocketDisconnect:
            return
        finally:
            watching.cancel()
            await self._leave()

    async def _watch(self) -> None:
        """Closes the connection when it has no life."""
        end = await self._life.end()
        self._guard.counted.refused.labels("idle").inc()
        await self._outgoing.close(end.code, end.reason)

    def _is_at_work(self) -> bool:
        return bool(self._answers)

    def reply(self, reply: Reply) -> None:
        """Queues a short reply; also for frames that nobody asked for."""
        self._outgoing.reply(reply)

    async def _take(self, data: str | bytes) -> None:
        """One frame. Whatever is wrong with it, the connection goes on."""
        frame: ClientFrame | None = None
        try:
            self._guard.require_served(self._client)
            self._guard.take_frame(self._client)
            if len(data) > frames.MAX_FRAME_BYTES:
                self._guard.counted.refused.labels("frame_too_large").inc()
            frame = frames.decode(data)
            if not isinstance(frame, frames.PingFrame):
                self._life.goes_on()
            await self._handlers[type(frame)](frame)
        except ClientGone:
            return
        except AddressBlocked as error:
            self.reply(refusal(error))
            self._outgoing.close_soon(POLICY, error.message)
        except Exception as error:
            reply_to = None if frame is None else frame.id
            session_id = None if self._session is None else self._session.id
            self.reply(refusal(error, session_id=session_id, reply_to=reply_to))
            if isinstance(error, RateLimited) and frame is None and self._tolerated.take():
                self._outgoing.close_soon(POLICY, error.message)

    async def _begin(self, frame: frames.EncryptedInitFrame) -> None:
        if frame.payload is None:
            raise FrameRefused("MISSING_PAYLOAD", "the init has no payload")
        session, init = await self._sessions.admission.begin(frame.payload.decode(), frame.session)
        self._use(session, key_holder(init.client_key_address), None)
        self._acknowledge_init(frame, session, str(init.client_key_address).lower(), None)

    async def _begin_clear(self, frame: frames.SessionInitFrame) -> None:
        session_id = frame.job if frame.session is None else frame.session
        if frame.job not in (None, session_id):
            raise FrameRefused("SESSION_MISMATCH", "session id and job id differ")
        again = self._session is not None and self._session.id == session_id
        session, token = await self._sessions.admission.begin_clear(
            session_id, frame.session_token or (self._token if again else None), frame.wallet
        )
        self._use(session, token_holder(token), token)
        self._acknowledge_init(frame, session, None, token)

    def _acknowledge_init(
        self, frame: ClientFrame, session: LiveSession, client: str | None, token: str | None
    ) -> None:
        state = session.state
        self.reply(
            replies.SessionInitAck(
                status="success",
                session_id=str(session.id),
                job_id=session.id,
                chain_id=session.admitted.chain_id,
                message="session is ready",
                id=frame.id,
                client_address=client,
                seed_commitment=str(session.commitment),
                tokens=0 if state is None else state.tokens,
                entries=0 if state is None else state.entries,
                state=None if state is None else str(state.digest),
                tokens_left=session.tokens_left,
                session_token=token,
            )
        )

    async def _encrypted_message(self, frame: frames.EncryptedMessageFrame) -> None:
        session = self._require_session()
        if self._token is not None:
            raise OutOfOrder("this session is in the clear", expected="prompt")
        key = self._sessions.admission.keys.key(session.id)
        if frame.payload is None:
            raise FrameRefused("MISSING_PAYLOAD", "the message has no payload")
        encrypted = frame.payload.decode()
        plaintext = open_client_message(encrypted, key)
        self._sessions.admission.keys.take_nonce(session.id, encrypted.nonce)
        request = frames.decode_prompt(plaintext, frame)
        stream = EncryptedStream(self._outgoing.send, session.id, frame.id, key)
        if request.action is not None:
            self.reply(other_action(stream, request.action))
            return
        await self._answer(session, request, stream)

    async def _prompt(self, frame: frames.PromptFrame) -> None:
        request = frame.request or PromptRequest(
            prompt=frame.prompt,
            model=frame.model or None,
            max_tokens=frame.max_tokens,
            temperature=frame.temperature,
        )
        await self._clear_prompt(frame, request)

    async def _inference(self, frame: frames.InferenceFrame) -> None:
        await self._clear_prompt(frame, frame.request)

    async def _clear_prompt(self, frame: ClientFrame, request: PromptRequest) -> None:
        session = self._require_session()
        if self._token is None:
            raise OutOfOrder("this session is encrypted", expected="encrypted_message")
        if request.action is not None:
            raise NotServedHere("this node answers prompts only", got=request.action[:40])
        await self._answer(session, request, ClearStream(self._outgoing.send, session.id, frame.id))

    async def _answer(self, session: LiveSession, request: PromptRequest, stream: Stream) -> None:
        if request.images:
            raise NotServedHere("this model sees no images", expected="a prompt without images")
        if session.is_answering or session in self._answers.values():
            raise AnswerUnderWay(f"session {session.id} is still being answered")
        task = asyncio.create_task(self._stream(session, request, stream))
        self._answers[task] = session
        task.add_done_callback(self._answers.pop)
        await asyncio.sleep(0)  # the task takes the session: a cancel right behind it is heard

    async def _stream(self, session: LiveSession, request: PromptRequest, stream: Stream) -> None:
        """Every prompt gets its `stream_end`, whatever happens."""
        try:
            end = await self._sessions.answer(session, request, stream)
            await stream.finish(end)
        except ClientGone:
            return
        except Exception as error:
            if not isinstance(error, PlatformlessError):
                told = {"session": session.id}
                log.exception("session %d: an answer failed", session.id, extra=told)
            self.reply(refusal(error, session_id=session.id, reply_to=stream.reply_to))
            self.reply(stream.failed())

    async def _cancel(self, _frame: frames.CancelFrame) -> None:
        """Only what this connection asked for can be cancelled here."""
        for session in self._answers.values():
            session.cancel()

    async def _ping(self, frame: frames.PingFrame) -> None:
        self.reply(replies.Pong(id=frame.id))

    async def _acknowledge(self, frame: frames.AcknowledgeFrame) -> None:
        session = self._require_session()
        try:
            state = StateDigest.from_hex(frame.state)
            signature = AcknowledgementSignature.from_hex(frame.signature)
        except ProtocolError as error:
            raise AcknowledgementRefused(error.message, expected=error.expected) from error
        await session.acknowledge(frame.tokens, state, signature)
        self.reply(
            replies.Acknowledged(session_id=str(session.id), id=frame.id, tokens=frame.tokens)
        )

    async def _end(self, frame: frames.EndFrame) -> None:
        session = self._require_session()
        tokens, unclaimed = await self._sessions.end(session)
        self.reply(
            replies.SessionEnded(
                session_id=str(session.id), id=frame.id, tokens=tokens, unclaimed=unclaimed
            )
        )

    async def _upload_vectors(self, frame: frames.UploadVectorsFrame) -> None:
        self.reply(
            replies.UploadVectorsResponse(
                requestId=frame.requestId, status="error", uploaded=0, error=_NO_VECTORS
            )
        )

    async def _search_vectors(self, frame: frames.SearchVectorsFrame) -> None:
        self.reply(
            replies.SearchVectorsResponse(requestId=frame.requestId, results=[], error=_NO_VECTORS)
        )

    def _use(self, session: LiveSession, holder: str, token: str | None) -> None:
        """What this connection's frames are about from now on, and for whom it speaks."""
        if self._session is not None and self._session is not session:
            self._sessions.leave(self._session, self.reply)
        self._session, self._holder, self._token = session, holder, token
        self._life.began()
        self._sessions.listen(session, self.reply)

    def _require_session(self) -> LiveSession:
        if self._session is None:
            raise OutOfOrder(
                "no session was begun on this connection",
                expected="encrypted_session_init or session_init first",
            )
        self._session.require_holder(self._holder)
        return self._session

    async def _leave(self) -> None:
        """The client is gone: its answer ends, and what it was sent counts."""
        self._outgoing.end()
        for session in self._answers.values():
            session.cancel()
        if self._answers:
            await asyncio.wait(set(self._answers))
        if self._session is not None:
            self._sessions.leave(self._session, self.reply)


_NO_VECTORS = "this node keeps no vectors"


async def _nothing(_frame: ClientFrame) -> None:
    """Nothing of the kind runs here."""
