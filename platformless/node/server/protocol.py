"""uvicorn's WebSocket protocol, made fit for clients that do not read.

What waits for such a client is bounded: little waits in this process, its pings are not answered
meanwhile, and when it is silent for too long the connection is cut off with what still waits.
uvicorn would keep it until the client had read everything, which it may never do.

So is what comes: messages that are not complete or not taken yet, of all connections together, and
the fragments of one message, of which each costs more than its bytes. A handshake that is none is
answered and closed.
"""

from __future__ import annotations

from asyncio.transports import BaseTransport
from collections import deque
from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from ...web_connections import MOST_WAITING_BYTES, Patience

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

_SMALL_BYTES = 1 << 20
"""What one connection may always hold of what comes."""
_MOST_FRAGMENTS = 1024
"""Of one message. Browsers and libraries send one, or pieces of some kilobytes."""
MOST_COMING_BYTES = 256 << 20


class Coming:
    """What has come on all connections together and is not taken yet.

    Args:
        most_bytes: From then on a connection that holds more than a mebibyte is closed.
    """

    def __init__(self, most_bytes: int = MOST_COMING_BYTES) -> None:
        self._most_bytes = most_bytes
        self.held_bytes = 0

    def changed(self, before: int, now: int) -> bool:
        """Notes what a connection holds, in bytes. Whether it may."""
        self.held_bytes += now - before
        return now <= _SMALL_BYTES or self.held_bytes <= self._most_bytes


class SocketProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    coming = Coming()
    """Of this process."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=MOST_WAITING_BYTES)
        self._made_at = self.loop.time()
        self._held_bytes = 0
        self._untaken: deque[int] = deque()
        """Bytes of the messages that wait for the application."""
        self._untaken_bytes = 0

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._untaken.clear()
        self._untaken_bytes = 0
        self._hold(0)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        elif not self._hold_all():
            self._refuse_message("too much is under way: try again, or with a smaller message")

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > _MOST_FRAGMENTS:
            self._refuse_message(f"a message has at most {_MOST_FRAGMENTS} fragments")

    def send_receive_event_to_app(self) -> None:
        size, waiting = sum(map(len, self.frames)), self.queue.qsize()
        super().send_receive_event_to_app()
        if self.queue.qsize() > waiting:
            self._untaken.append(size)
            self._untaken_bytes += size

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # uvicorn takes an answer for none, and logs an error

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if message["type"] == "websocket.receive" and self._untaken:
            self._untaken_bytes -= self._untaken.popleft()
            self._hold_all()
        return message

    def is_overdue(self, now: float, patience: Patience) -> bool:
        """Whether the handshake takes too long."""
        return not self.handshake_complete and now - self._made_at >= patience.head_seconds

    def end_overdue(self) -> None:
        self.transport.close()

    def _hold_all(self) -> bool:
        incomplete = len(self.conn.reader.buffer) + sum(map(len, self.frames))
        return self._hold(incomplete + self._untaken_bytes)

    def _hold(self, now_bytes: int) -> bool:
        before, self._held_bytes = self._held_bytes, now_bytes
        return self.coming.changed(before, now_bytes)

    def _refuse_message(self, reason: str) -> None:
        """Ends the connection, as for a message that is larger than the transport takes."""
        if self.close_sent or self.transport.is_closing():
            return
        self.frames = []
        self.conn.fail(CloseCode.MESSAGE_TOO_BIG, reason)
        self.handle_parser_exception()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the pong: thrown away

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
