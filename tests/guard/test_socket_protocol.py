"""What comes on WebSockets is bounded: unfinished messages of all together, fragments of one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from platformless.node.server.protocol import Coming, SocketProtocol
from platformless.web_server import WebServer

from .serving import SECONDS, UPGRADE, Small, bare, ended, served

MOST = 8 << 20
TOO_BIG = (1009).to_bytes(2)


def header(first: int, size: int) -> bytes:
    """Of a masked frame; the mask is zero."""
    return bytes([first, 0xFF]) + size.to_bytes(8) + bytes(4)


@pytest.fixture
def coming(monkeypatch: pytest.MonkeyPatch) -> Iterator[Coming]:
    coming = Coming(MOST)
    monkeypatch.setattr(SocketProtocol, "coming", coming)
    yield coming
    assert coming.held_bytes == 0, "when all are gone nothing is counted"


@pytest.fixture
async def server(coming: Coming) -> AsyncIterator[WebServer]:  # noqa: ARG001
    async with served(Small().app(), patience=None) as server:
        yield server


async def opened(
    stack: AsyncExitStack, server: WebServer
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await stack.enter_async_context(bare(server))
    writer.write(UPGRADE + b"\r\n")
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def until_held(coming: Coming, size: int) -> None:
    async with asyncio.timeout(SECONDS):
        while coming.held_bytes < size:
            await asyncio.sleep(0.01)


async def test_all_connections_together_hold_no_more_than_is_allowed(
    server: WebServer, coming: Coming
) -> None:
    async with AsyncExitStack() as stack:
        part = 3 << 20
        for number in (1, 2):
            _, writer = await opened(stack, server)
            writer.write(header(0x82, 16 << 20) + bytes(part))
            await until_held(coming, number * part)
        reader, writer = await opened(stack, server)
        writer.write(header(0x82, 16 << 20) + bytes(part))
        await ended(reader)  # what it still sends may cost it the reason
        assert coming.held_bytes <= MOST
        small_reader, small = await opened(stack, server)
        small.write(header(0x82, 1000) + bytes(1000))
        assert (await small_reader.readexactly(6))[2:] == b"1000"


async def test_a_large_message_alone_is_taken(server: WebServer, coming: Coming) -> None:
    async with AsyncExitStack() as stack:
        reader, writer = await opened(stack, server)
        size = MOST - 4096
        for _ in range(3):
            writer.write(header(0x82, size) + os.urandom(size))
            assert (await reader.readexactly(2 + 7))[2:] == str(size).encode()
        assert coming.held_bytes == 0


@pytest.mark.parametrize("count", [1000, 1100])
async def test_a_message_has_no_more_fragments_than_a_sane_client_sends(
    server: WebServer, count: int
) -> None:
    async with AsyncExitStack() as stack:
        reader, writer = await opened(stack, server)
        more = b"\x00\x81\x00\x00\x00\x00x"
        writer.write(b"\x01\x81\x00\x00\x00\x00x" + more * (count - 2))
        writer.write(b"\x80\x81\x00\x00\x00\x00x")
        if count <= 1024:
            assert (await reader.readexactly(6))[2:] == b"1000"
        else:
            assert TOO_BIG in await ended(reader)


async def test_many_tiny_messages_at_once_are_each_taken(server: WebServer) -> None:
    async with AsyncExitStack() as stack:
        reader, writer = await opened(stack, server)
        writer.write(b"\x81\x81\x00\x00\x00\x00x" * 20_000)
        assert await reader.readexactly(3 * 20_000) == b"\x81\x011" * 20_000
