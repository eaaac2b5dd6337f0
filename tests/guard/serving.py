"""A small application behind the node's server, its WebSocket protocol and its guard; and bare
connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from platformless.node.server.protocol import SocketProtocol
from platformless.web_connections import Patience
from platformless.web_server import WebServer

SHORT = Patience(head_seconds=1.5, unread_seconds=1.5, closing_seconds=1.5)
"""The server looks once a second."""
SECONDS = 30.0
BIG = 8 << 20
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@dataclass
class Small:
    """What the application took."""

    messages: list[str | bytes] = field(default_factory=list)
    open: int = 0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.hello, methods=["GET", "POST"]),
                Route("/health", self.hello),
                Route("/big", self.big),
                WebSocketRoute("/ws", self.socket),
            ]
        )

    async def hello(self, _request: Request) -> Response:
        return PlainTextResponse("hello")

    async def big(self, _request: Request) -> Response:
        return PlainTextResponse("x" * BIG)

    async def socket(self, socket: WebSocket) -> None:
        """Says how long each message is; to `big`, much more."""
        await socket.accept()
        self.open += 1
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                data = message.get("text") or message.get("bytes") or b""
                self.messages.append(data)
                await socket.send_text("x" * BIG if data == "big" else str(len(data)))
        except WebSocketDisconnect:
            return
        finally:
            self.open -= 1


@asynccontextmanager
async def served(
    app: ASGIApp, patience: Patience | None = SHORT, send_buffer_bytes: int | None = None
) -> AsyncIterator[WebServer]:
    server = WebServer(
        app,
        ws=SocketProtocol,
        ws_per_message_deflate=False,
        patience=patience,
        send_buffer_bytes=send_buffer_bytes,
    )
    async with server:
        yield server


@asynccontextmanager
async def bare(
    server: WebServer, receive_buffer_bytes: int = 1 << 16
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection without a protocol, that reads no more than its buffer until it is asked to."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, limit=receive_buffer_bytes
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server ends the connection."""
    try:
        return await asyncio.wait_for(reader.read(-1), SECONDS)
    except ConnectionResetError:
        return b""


async def ask(server: WebServer, path: str = "/") -> bytes:
    """A request of a well-behaved client."""
    async with bare(server) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return await ended(reader)
