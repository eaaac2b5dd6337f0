"""One WebSocket to a host: sends frames, gives the host's replies in order, says that it is there.

A task of its own reads, so that the host's pings are answered while nobody waits for a reply.
Notices that nobody waits for (`pong`, `proof_submitted`, …) and unknown frames are passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import msgspec

from ..closing import AsyncClosing
from ..protocol import replies
from ..protocol.frames import MAX_FRAME_BYTES
from ..protocol.replies import (
    Acknowledged,
    AnyReply,
    CheckpointSubmitted,
    Connected,
    EncryptedChunk,
    EncryptedResponse,
    ErrorReply,
    ProofProgress,
    ProofSubmitted,
    QueuePosition,
    SessionEnded,
    SessionInitAck,
    StreamEnd,
)
from .errors import (
    ConnectionLost,
    ConnectionProblem,
    HostFloods,
    HostRefused,
    HostTooSlow,
    HostUnreachable,
)

_PING = '{"type":"ping"}'
_CLOSE_SECONDS = 3.0
_TEXT = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)

Notice = ProofProgress | ProofSubmitted | CheckpointSubmitted
"""What a host says by itself. It is a claim of the host's, no more."""
OnNotice = Callable[[Notice], None]
Awaited = (
    SessionInitAck
    | EncryptedChunk
    | EncryptedResponse
    | StreamEnd
    | QueuePosition
    | Acknowledged
    | SessionEnded
    | ErrorReply
)
"""Replies that someone waits for."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Times in seconds."""

    open_seconds: float = 30.0
    """To connect, and for the host's greeting."""
    reply_seconds: float = 30.0
    """For the reply to an init, an acknowledgement or the end of a session."""
    first_chunk_seconds: float = 180.0
    """From the prompt, or the last word about the queue, to the first chunk."""
    gap_seconds: float = 60.0
    """Between parts of an answer."""
    ping_seconds: float = 30.0
    buffered_bytes: int = 64 << 20
    """Of replies that nobody has read yet."""


class HostConnection(AsyncClosing):
    """An open connection; `open` makes one."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse[bool],
        limits: ConnectionLimits,
        on_notice: OnNotice | None = None,
    ) -> None:
        self.limits = limits
        self._on_notice = on_notice
        self._socket = socket
        self._replies: asyncio.Queue[tuple[int, Awaited] | None] = asyncio.Queue()
        self._buffered = 0
        self._problem: ConnectionProblem | None = None
        self._reading = asyncio.create_task(self._read())
        self._pinging = asyncio.create_task(self._ping())

    @classmethod
    async def open(
        cls,
        http: aiohttp.ClientSession,
        url: str,
        limits: ConnectionLimits,
        on_notice: OnNotice | None = None,
    ) -> HostConnection:
        """Connects, and waits for the host's greeting.

        Args:
            on_notice: Called for what the host says about proofs; must not block.

        Raises:
            HostUnreachable
            HostRefused: when it says why it does not take the connection.
        """
        try:
            async with asyncio.timeout(limits.open_seconds):
                socket = await http.ws_connect(
                    url,
                    max_msg_size=MAX_FRAME_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
                )
                try:
                    await _greeted(socket, url)
                except BaseException:
                    await socket.close()
                    raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise HostUnreachable(
                f"{url} does not answer", got=str(error) or type(error).__name__
            ) from error
        return cls(socket, limits, on_notice)

    @property
    def is_open(self) -> bool:
        return self._problem is None and not self._socket.closed

    async def close(self) -> None:
        """Closes the connection; the host may then settle the session."""
        self._problem = self._problem or ConnectionLost("the connection was closed")
        for task in (self._pinging, self._reading):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._socket.close(message=b"Client disconnect")

    async def send(self, frame: dict[str, object]) -> None:
        """Raises:
        ConnectionLost
        """
        await self._send(msgspec.json.encode(frame).decode())

    async def receive(self, seconds: float) -> Awaited:
        """The next reply that is not a notice.

        Raises:
            HostTooSlow: when none comes in so many seconds.
            ConnectionLost, HostFloods
        """
        try:
            async with asyncio.timeout(seconds):
                item = await self._replies.get()
        except TimeoutError:
            raise HostTooSlow("no reply in time", expected=f"one in {seconds:g} s") from None
        if item is None:
            self._replies.put_nowait(None)
            raise self._problem or ConnectionLost("the connection was closed")
        size, reply = item
        self._buffered -= size
        return reply

    async def reply_to(self, name: str, seconds: float) -> Awaited:
        """The next reply that is not about another request than `name`.

        Raises:
            HostRefused: for an `error` frame.
            HostTooSlow, ConnectionLost, HostFloods
        """
        while True:
            reply = await self.receive(seconds)
            if reply.id is not None and str(reply.id) != name:
                continue
            if isinstance(reply, ErrorReply):
                raise HostRefused(reply.code, reply.message)
            return reply

    async def _send(self, text: str) -> None:
        if self._problem is not None:
            raise self._problem
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost("the connection broke", got=str(error)) from error

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type not in _TEXT:
                    break
                reply = replies.decode(message.data)
                if isinstance(reply, Notice) and self._on_notice is not None:
                    self._on_notice(reply)
                if not isinstance(reply, Awaited):
                    continue
                size = len(message.data)
                self._buffered += size
                if self._buffered > self.limits.buffered_bytes:
                    self._problem = HostFloods(
                        "the host sends more than is read",
                        expected=f"at most {self.limits.buffered_bytes} bytes",
                        got=self._buffered,
                    )
                    break
                self._replies.put_nowait((size, reply))
        finally:
            self._problem = self._problem or ConnectionLost(
                "the connection was closed",
                got=f"close code {self._socket.close_code}",
            )
            self._replies.put_nowait(None)

    async def _ping(self) -> None:
        with contextlib.suppress(ConnectionProblem):
            while True:
                await asyncio.sleep(self.limits.ping_seconds)
                await self._send(_PING)


async def _greeted(socket: aiohttp.ClientWebSocketResponse[bool], url: str) -> None:
    message = await socket.receive()
    reply: AnyReply | None = replies.decode(message.data) if message.type in _TEXT else None
    if isinstance(reply, ErrorReply):
        raise HostRefused(reply.code, reply.message)
    if not isinstance(reply, Connected):
        raise HostUnreachable(f"{url} does not greet", expected="connected", got=message.type.name)
