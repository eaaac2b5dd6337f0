"""A thousand connections of one address at once: a hundred are let in, and nobody else notices.

The node is a process of its own, so that its files are its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import httpx
import pytest

from platformless.node import running
from platformless.node.server.health import Health

from .node_process import processes, run_node
from .wire import Wire
from .world import NodeWorld

TRIED = 1000
LET_IN = 100
SECONDS = 120.0
CROWD, OTHER = "127.0.0.1", "127.0.0.2"
GUARDED = {
    "MAX_CONNECTIONS_PER_ADDRESS": str(LET_IN),
    "REQUESTS_PER_SECOND_PER_ADDRESS": "20",
    "REQUESTS_BURST_PER_ADDRESS": "200",
}


def run_patient_node(environment: dict[str, str], address: Connection) -> None:
    """`run_node`, whose health does not depend on how busy this machine is."""
    running.Health = partial(Health, check_seconds=30.0)  # type: ignore[attr-defined, assignment]
    run_node(environment, address)


@contextmanager
def node_process(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """A node's URL and process id."""
    here, there = processes.Pipe(duplex=False)
    process = processes.Process(target=run_patient_node, args=(environment, there), daemon=True)
    process.start()
    try:
        assert here.poll(60), "the node does not start"
        assert process.pid is not None
        yield here.recv(), process.pid
    finally:
        process.kill()
        process.join()


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def from_address(address: str) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(local_addr=(address, 0), limit=0)
    return aiohttp.ClientSession(connector=connector)


class Crowd:
    """Connections of one address."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = f"{url}/v1/ws"
        self.sockets: list[aiohttp.ClientWebSocketResponse[bool]] = []
        self.told: Counter[int] = Counter()

    async def try_all(self) -> None:
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(self._try() for _ in range(TRIED)))

    async def _try(self) -> None:
        try:
            socket = await self._http.ws_connect(self._url)
        except aiohttp.WSServerHandshakeError as refused:
            assert refused.headers is not None
            assert int(refused.headers["Retry-After"]) > 0
            self.told[refused.status] += 1
        else:
            self.sockets.append(socket)

    async def leave(self) -> None:
        await asyncio.gather(*(socket.close() for socket in self.sockets))


@pytest.fixture
def environment(nodes: NodeWorld) -> dict[str, str]:
    return {**nodes.environment(engine_threads=1), **GUARDED}


async def test_of_a_thousand_connections_a_hundred_are_let_in_and_others_are_served(
    nodes: NodeWorld, environment: dict[str, str]
) -> None:
    session_id = await nodes.world.open_session()
    with node_process(environment) as (url, pid):
        async with from_address(CROWD) as many, from_address(OTHER) as one:
            async with session(one, url, nodes, session_id) as wire:
                assert await wire.answer("Say hello.", 8)
            at_first = open_files(pid)
            crowd = Crowd(many, url)
            trying = asyncio.create_task(crowd.try_all())
            async with session(one, url, nodes, session_id) as wire:
                assert await wire.answer("Say hello again.", 8)
                healths = [await health(url) for _ in range(20)]
                await trying
                assert await wire.answer("And again.", 8)
            assert healths == ["healthy"] * 20
            assert len(crowd.sockets) == LET_IN
            assert crowd.told == {429: TRIED - LET_IN}
            for admitted in crowd.sockets:
                assert (await admitted.receive_json(timeout=SECONDS))["type"] == "connected"
                await admitted.send_str('{"type":"ping"}')
                assert (await admitted.receive_json(timeout=SECONDS))["type"] == "pong"
            await crowd.leave()
        async with asyncio.timeout(SECONDS):
            while open_files(pid) > at_first:
                await asyncio.sleep(0.05)
        async with from_address(CROWD) as again, again.ws_connect(f"{url}/v1/ws") as socket:
            assert (await socket.receive_json(timeout=SECONDS))["type"] == "connected"


@asynccontextmanager
async def session(
    http: aiohttp.ClientSession, url: str, nodes: NodeWorld, session_id: int
) -> AsyncIterator[Wire]:
    async with http.ws_connect(f"{url}/v1/ws") as socket:
        wire = Wire(socket, nodes.host_key, session_id, b"\x21" * 32)
        assert (await wire.next())["type"] == "connected"
        yield wire


async def health(url: str) -> str:
    """As a watchman of the crowd's own address asks."""
    async with httpx.AsyncClient(base_url=url, timeout=SECONDS) as http:
        return str((await http.get("/health")).json()["status"])
