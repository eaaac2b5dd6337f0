"""uvicorn's WebSocket protocol, made fit for clients that do not read.

What waits for such a client is bounded: little waits in this process, its pings are not answered
meanwhile, and when it is silent for too long the connection is cut off with what still waits.
uvicorn would keep it until the client had read everything, which it may never do.
"""

from __future__ import annotations

from asyncio.transports import BaseTransport

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_MOST_WAITING_BYTES = 8 << 10
"""From here on a sender waits. What is in the buffer counts as sent: small where that is billed."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=_MOST_WAITING_BYTES)

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the pong: thrown away

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
