"""The edges of an audit: memory for files, the host's index over HTTP, what a terminal is shown."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from rich.console import Console

from platformless.audit.room import Room
from platformless.audit.session.errors import IndexUnavailable
from platformless.audit.session.index_check import MAX_INDEX_BYTES
from platformless.audit.session.index_source import index_from_host
from platformless.prover.auditing.progress import AuditProgress

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def test_files_wait_for_room_and_a_large_one_is_held_alone() -> None:
    room, held, most = Room(100), 0, 0

    async def hold(size: int) -> None:
        nonlocal held, most
        async with room.for_bytes(size, 1_000):
            held += min(size, 100)
            most = max(most, held)
            await asyncio.sleep(0.001)
            held -= min(size, 100)

    await asyncio.gather(*(hold(size) for size in (60, 60, 30, 500, 10, 100, 1, 99)))
    assert most <= 100
    assert held == 0


async def test_what_will_be_refused_needs_no_room() -> None:
    room = Room(100)
    async with room.for_bytes(100, 1_000), asyncio.timeout(1), room.for_bytes(2**60, 1_000):
        pass


async def test_who_gives_up_waiting_leaves_the_room_as_it_was() -> None:
    room = Room(100)
    async with room.for_bytes(100, 1_000):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), room.for_bytes(1, 1_000):
                pass
    async with asyncio.timeout(1), room.for_bytes(100, 1_000):
        pass


@asynccontextmanager
async def host(answer: Handler) -> AsyncIterator[str]:
    """A host that answers anything so."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_a_host_gives_its_index() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path == "/v1/checkpoints/7"
        return web.Response(body=b"{}")

    async with host(answer) as url:
        assert await index_from_host(url, 7, private_hosts=True) == b"{}"


async def _missing(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


async def _elsewhere(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"location": "/v1/checkpoints/8"})


async def _endless(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse()
    await reply.prepare(request)
    for _ in range(2 * MAX_INDEX_BYTES >> 20):
        await reply.write(bytes(1 << 20))
    return reply


@pytest.mark.parametrize("answer", [_missing, _elsewhere, _endless])
async def test_a_host_that_gives_none_is_no_reason_to_wait(answer: Handler) -> None:
    async with host(answer) as url:
        with pytest.raises(IndexUnavailable):
            await index_from_host(url, 7, private_hosts=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://[::1]/",
        "http://10.0.0.7/",
        "http://169.254.169.254/latest",
        "http://localhost:8080",
        "http://node.internal",
        "file:///etc/passwd",
        "ftp://host.example",
        "http://",
        "http://[",
        "",
    ],
)
async def test_an_address_within_a_network_is_not_asked(url: str) -> None:
    """A stranger wrote it: an auditor's machine must not be made to knock on its neighbours."""
    with pytest.raises(IndexUnavailable):
        await index_from_host(url, 7)


def test_progress_is_drawn_on_a_terminal_alone() -> None:
    for terminal in (True, False):
        screen = io.StringIO()
        with AuditProgress(Console(file=screen, force_terminal=terminal, width=100)) as progress:
            for done in range(3):
                progress.on_stage("checking checkpoints", done, 2)
        assert ("checking checkpoints" in screen.getvalue()) is terminal
