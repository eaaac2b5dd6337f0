"""A WebSocket over a bare socket: reads only when it is told to, with a small buffer."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame as SocketFrame
from websockets.frames import Opcode
from websockets.uri import parse_uri

from platformless.protocol.secrecy import PublicKeyBytes

from .wire import Frame, Wire

_RECEIVE_BYTES = 2048


class SlowSocket:
    """What `Wire` needs of a socket."""

    def __init__(self, connection: socket.socket, url: str) -> None:
        self.connection = connection
        self._protocol = ClientProtocol(parse_uri(url), max_size=None)
        self._texts: deque[str] = deque()
        self.pongs = 0
        """Pings that were answered."""

    async def open(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        while self._protocol.handshake_exc is None and self._protocol.state.name == "CONNECTING":
            await self._read()

    async def send_str(self, text: str) -> None:
        self._protocol.send_text(text.encode())
        await self._flush()

    async def receive_json(self) -> Frame:
        while not self._texts:
            await self._read()
        return cast(Frame, json.loads(self._texts.popleft()))

    async def flood(self, pings: int) -> None:
        """Pings of the WebSocket itself, without reading."""
        self._protocol.send_ping(b"x" * 100)
        ping = b"".join(self._protocol.data_to_send())
        await asyncio.get_running_loop().sock_sendall(self.connection, ping * pings)

    async def _read(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.connection, 4096)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, SocketFrame):
                self.pongs += event.opcode is Opcode.PONG
                if event.opcode is Opcode.TEXT:
                    self._texts.append(bytes(event.data).decode())
        await self._flush()

    async def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data:
            await asyncio.get_running_loop().sock_sendall(self.connection, data)


@asynccontextmanager
async def slowly_connected(
    url: str, host_key: PublicKeyBytes, session_id: int, key: bytes = b"\x21" * 32
) -> AsyncIterator[tuple[Wire, SlowSocket]]:
    """A connection that was greeted, and its socket."""
    parts = urlsplit(url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        connection.setblocking(False)
        address = (parts.hostname, parts.port)
        await asyncio.get_running_loop().sock_connect(connection, address)
        slow = SlowSocket(connection, f"ws://{parts.netloc}/v1/ws")
        await slow.open()
        wire = Wire(cast(Any, slow), host_key, session_id, key)
        assert (await wire.next())["type"] == "connected"
        yield wire, slow
