"""Clients that dribble, stall and do not read: each has its time, and nobody waits for them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from platformless.web_connections import LARGEST_HEAD_BYTES, Patience
from platformless.web_server import WebServer

from .serving import SECONDS, SHORT, UPGRADE, Small, ask, bare, ended, served


async def dribble(writer: asyncio.StreamWriter, text: bytes, pause: float = 0.05) -> None:
    """A byte now and then, as long as somebody takes it."""
    for byte in text:
        if writer.transport.is_closing():
            return
        writer.write(bytes([byte]))
        await asyncio.sleep(pause)


def connections(server: WebServer) -> int:
    return len(server._server.server_state.connections)


async def until_nobody_is_there(server: WebServer) -> None:
    async with asyncio.timeout(SECONDS):
        while connections(server):
            await asyncio.sleep(0.05)


HEAD = b"GET / HTTP/1.1\r\nHost: node\r\nX-Slow: " + b"x" * 2000


@pytest.mark.parametrize(
    ("first", "slowly"),
    [
        (b"", b""),
        (b"", HEAD),
        (HEAD, b""),
        (UPGRADE, b"X-Slow: " + b"x" * 2000),
        (b"GET / HTTP/1.1\r\nHost: node\r\n\r\n", HEAD),
    ],
    ids=["silent", "dribbling", "half a head", "half a handshake", "a second request"],
)
async def test_a_head_that_does_not_come_in_time_ends_the_connection(
    first: bytes, slowly: bytes
) -> None:
    async with served(Small().app()) as server, bare(server) as (reader, writer):
        writer.write(first)
        dribbling = asyncio.create_task(dribble(writer, slowly))
        said = await ended(reader)
        await dribbling
        was_reset = slowly and not said  # what it still sent cost it the reason
        assert was_reset or (b" 408 " in said) == bool(slowly or first)
        await until_nobody_is_there(server)


async def test_a_hundred_dribbling_connections_disturb_nobody() -> None:
    patience = replace(SHORT, head_seconds=5)
    async with served(Small().app(), patience) as server, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(bare(server)) for _ in range(100)]
        dribbling = [asyncio.create_task(dribble(writer, HEAD)) for _, writer in slow]
        assert connections(server) == 100
        for _ in range(20):
            assert b"hello" in await ask(server)
        for reader, _ in slow:
            await ended(reader)
        await asyncio.gather(*dribbling)
        await until_nobody_is_there(server)


async def test_a_body_that_dribbles_behind_its_answer_ends_the_connection() -> None:
    """The endpoint does not read it."""
    async with served(Small().app()) as server, bare(server) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 100000\r\n\r\n")
        dribbling = asyncio.create_task(dribble(writer, b"x" * 1000))
        said = await ended(reader)
        assert said.endswith(b"hello")
        await dribbling
        await until_nobody_is_there(server)


async def test_who_does_not_read_an_answer_is_cut_off() -> None:
    async with served(Small().app(), send_buffer_bytes=4096) as server:
        async with bare(server, receive_buffer_bytes=1024) as (_, writer):
            writer.write(b"GET /big HTTP/1.1\r\nHost: node\r\n\r\n")
            await until_nobody_is_there(server)
        assert b"hello" in await ask(server)


async def test_who_closes_and_does_not_read_is_cut_off() -> None:
    """The close frame of a client that leaves the answer unread in its buffers."""
    small = Small()
    async with served(small.app(), send_buffer_bytes=4096) as server:
        async with bare(server, receive_buffer_bytes=1024) as (reader, writer):
            writer.write(UPGRADE + b"\r\n")
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\x81\x83\x00\x00\x00\x00big" + b"\x88\x80\x00\x00\x00\x00")
            await until_nobody_is_there(server)
        assert small.open == 0


async def test_a_client_that_takes_its_time_between_requests_is_served() -> None:
    """All in all for longer than a head may take, and than the server then takes to look."""
    patience = Patience(head_seconds=3)
    now = asyncio.get_running_loop().time
    async with served(Small().app(), patience) as server, bare(server) as (reader, writer):
        until = now() + 4.5
        while now() < until:
            await asyncio.sleep(0.3)
            writer.write(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b"hello")


async def test_a_large_answer_that_is_read_comes_whole() -> None:
    async with served(Small().app(), send_buffer_bytes=4096) as server:
        assert len(await ask(server, "/big")) > 8 << 20


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with served(Small().app()) as server, bare(server) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * (LARGEST_HEAD_BYTES + 1))
        assert b" 400 " in await ended(reader)


@pytest.mark.parametrize(
    "headers",
    [b"X: y\r\n" * 200, b"X: " + b"y" * 9000 + b"\r\n", b"Sec-WebSocket-Version: 7\r\n"],
    ids=["too many", "too long", "contradictory"],
)
async def test_a_handshake_that_is_none_is_answered_and_closed(headers: bytes) -> None:
    """uvicorn alone would keep such a connection for ever, and the application hear nothing."""
    small = Small()
    async with served(small.app(), Patience()) as server, bare(server) as (reader, writer):
        writer.write(UPGRADE + headers + b"\r\n")
        assert (await ended(reader)).startswith(b"HTTP/1.1 4")
        await until_nobody_is_there(server)
        assert small.open == 0


async def test_the_server_stops_while_clients_stall() -> None:
    server = WebServer(Small().app(), patience=SHORT)
    async with AsyncExitStack() as stack:
        async with server:
            for _ in range(5):
                _, writer = await stack.enter_async_context(bare(server))
                writer.write(HEAD)
            assert b"hello" in await ask(server)
