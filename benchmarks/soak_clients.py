"""Clients of a node that is soaked: honest ones, and all others.

Each kind is a coroutine that does its thing once; `benchmarks.soak` repeats them. Kinds come from
addresses of their own on loopback, so that each meets its own limits.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from platformless.protocol.secrecy import PublicKeyBytes
from tests.node.wire import Wire

HONEST, RUDE, CROWD, FLOOD, SLOW = (f"127.0.0.{number}" for number in (2, 3, 4, 5, 6))
ADDRESS_CONNECTIONS = 20
"""WebSockets that the node allows an address."""
_CROWD = 2 * ADDRESS_CONNECTIONS
_FLOOD = 150
_SLOW = 5
_GARBAGE: tuple[str | bytes, ...] = (
    "",
    "Hello?",
    '{"type":"ping"',
    "[" * 10_000,
    '{"type":"nonsense"}',
    '{"type":"prompt","prompt":"Hi."}',
    '{"type":"session_init","session_id":"18446744073709551615"}',
    '{"type":"encrypted_message","payload":{"ciphertextHex":"00","nonceHex":"zz"}}',
    bytes(1_000_000),
    '{"type":"ping","more":"' + "x" * 500_000 + '"}',
)


@dataclass
class Clients:
    """All of them, and what became of what they tried."""

    url: str
    host_key: PublicKeyBytes
    counts: Counter[str] = field(default_factory=Counter)

    async def talks(self, session_id: int) -> None:
        """Two prompts; then the session is ended."""
        async with self._wire(session_id) as wire:
            for text in ("Say hello.", "And again."):
                await wire.answer(text, 6)
                self.counts["answers"] += 1
            await wire.ask({"type": "session_end"}, "session_ended", "error")
            self.counts["sessions ended by their client"] += 1

    async def vanishes(self, session_id: int) -> None:
        """The connection breaks in the middle of an answer."""
        async with self._wire(session_id) as wire:
            await wire.begin()
            await wire.send(wire.prompt("Count to a hundred.", 60))
            await wire.next("encrypted_chunk")
            _break(wire.socket)
            self.counts["answers broken off"] += 1

    async def leaves(self, session_id: int) -> None:
        """A prompt, and no word of farewell: the node ends the session."""
        async with self._wire(session_id) as wire:
            await wire.answer("Say hello.", 6)
            self.counts["answers"] += 1
            self.counts["sessions left to the node"] += 1

    async def asks_over_http(self, session_id: int) -> None:
        async with _http(HONEST) as http:
            body = {"prompt": "Say hello.", "max_tokens": 6, "session_id": session_id}
            async with http.post(f"{self.url}/v1/inference", json=body) as reply:
                await reply.read()
                self.counts["answers" if reply.status == 200 else "refused"] += 1

    async def talks_nonsense(self) -> None:
        """Garbage of every kind, then half a message, then the connection breaks."""
        async with _http(RUDE) as http, http.ws_connect(f"{self.url}/v1/ws") as socket:
            for frame in _GARBAGE:
                if isinstance(frame, bytes):
                    await socket.send_bytes(frame)
                else:
                    await socket.send_str(frame)
                self.counts["messages of garbage"] += 1
            for _ in _GARBAGE:
                await socket.receive()
            socket._writer.transport.write(b"\x82\xff" + (1 << 20).to_bytes(8) + bytes(9000))
            _break(socket)

    async def crowds(self) -> None:
        """Twice as many connections as one address may have."""
        async with _http(CROWD) as http, AsyncExitStack() as stack:
            for _ in range(_CROWD):
                try:
                    await stack.enter_async_context(http.ws_connect(f"{self.url}/v1/ws"))
                    self.counts["idle connections"] += 1
                except aiohttp.WSServerHandshakeError as error:
                    self.counts[f"connections refused with {error.status}"] += 1

    async def floods(self) -> None:
        """More requests than an address may make."""
        async with _http(FLOOD) as http:
            for number in range(_FLOOD):
                path = ("/v1/models", "/nothing", "/v1/checkpoints/1", "/metrics")[number % 4]
                async with http.get(self.url + path) as reply:
                    await reply.read()
                    self.counts["requests refused with 429"] += reply.status == 429
                    self.counts["requests"] += 1

    async def dribbles(self) -> None:
        """Half a head on each of some connections, until the node closes them."""
        parts = urlsplit(self.url)
        async with AsyncExitStack() as stack:
            readers = []
            for _ in range(_SLOW):
                reader, writer = await asyncio.open_connection(
                    parts.hostname, parts.port, local_addr=(SLOW, 0)
                )
                stack.callback(writer.transport.abort)
                writer.write(b"GET / HTTP/1.1\r\nX-Slow: " + secrets.token_hex(500).encode())
                readers.append(reader)
            await asyncio.gather(*(reader.read(-1) for reader in readers))
            self.counts["half heads"] += _SLOW

    @asynccontextmanager
    async def _wire(self, session_id: int) -> AsyncIterator[Wire]:
        async with (
            _http(HONEST) as http,
            http.ws_connect(f"{self.url}/v1/ws", max_msg_size=0) as socket,
        ):
            yield Wire(socket, self.host_key, session_id, b"\x21" * 32)


def _http(source: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(local_addr=(source, 0), limit=0, force_close=True)
    )


def _break(socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
    """As a cable does that is pulled."""
    transport = socket._writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.abort()
