"""What waits for a client that does not read counts as sent: over HTTP no more than elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from platformless.web_connections import MOST_WAITING_BYTES, HttpConnection
from tests.guard.serving import bare, served

PIECE = b"data: x\n\n"
SECONDS = 60.0


async def endless(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield PIECE
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def test_little_waits_in_this_process_for_a_client_of_http() -> None:
    app = Starlette(routes=[Route("/", endless)])
    async with (
        served(app, None, send_buffer_bytes=4096) as server,
        bare(server, 1 << 10) as (_reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(SECONDS):
            while not (found := list(server._server.server_state.connections)):
                await asyncio.sleep(0.01)
            (connection,) = found
            assert isinstance(connection, HttpConnection)
            while not connection.flow.write_paused:
                await asyncio.sleep(0.01)
        waiting = connection.transport.get_write_buffer_size()
        assert 0 < waiting < MOST_WAITING_BYTES + 1024
