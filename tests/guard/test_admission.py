"""What is refused before anything is done for it, and what its client hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from platformless.node.guard.admission import AdmissionMiddleware
from platformless.node.guard.blocklist import BlocklistFile
from platformless.node.guard.buckets import Limit
from platformless.node.guard.client_address import ClientAddress, TrustedProxies
from platformless.node.guard.guard import Guard, GuardLimits
from platformless.node.monitoring.counted import Counted

from .clock import Clock
from .serving import SECONDS, Small, served

PLENTY = Limit(1e6, 1 << 20)


@dataclass
class Guarded:
    """A small application behind a guard, and a client of it."""

    guard: Guard
    small: Small
    url: str
    http: aiohttp.ClientSession
    clock: Clock

    def refused(self, reason: str) -> float:
        value = self.guard.counted.registry.get_sample_value(
            "platformless_refused_total", {"reason": reason}
        )
        assert value is not None
        return value

    async def connect(self, **headers: str) -> aiohttp.ClientWebSocketResponse[bool]:
        return await self.http.ws_connect(f"{self.url}/ws", headers=headers)

    async def get(self, path: str = "/", **headers: str) -> tuple[int, Any, Any]:
        async with self.http.get(self.url + path, headers=headers) as reply:
            body = await (reply.json() if reply.status != 200 else reply.text())
            return reply.status, reply.headers, body


@asynccontextmanager
async def guarded(
    limits: GuardLimits | None = None,
    proxies: str = "",
    blocklist: Path | None = None,
) -> AsyncIterator[Guarded]:
    small, clock = Small(), Clock()
    guard = Guard(
        limits or GuardLimits(requests=PLENTY),
        TrustedProxies.parse(proxies),
        BlocklistFile(blocklist, clock),
        Counted(),
        clock,
    )
    app = AdmissionMiddleware(small.app(), guard, chain_id=84532)
    async with (
        served(app, patience=None) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        yield Guarded(guard, small, server.url, http, clock)


async def until(condition: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


FORWARDED = "X-Forwarded-For"
HERE = ClientAddress.of("127.0.0.1")


async def test_the_hundred_and_first_connection_is_refused_before_its_upgrade(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with guarded() as node, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(await node.connect()) for _ in range(100)]
        for _ in range(3):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await node.connect()
            assert refused.value.status == 429
            assert refused.value.headers is not None
            assert refused.value.headers["Retry-After"] == "10"
        assert (node.small.open, node.guard.connections_of(HERE)) == (100, 100)
        assert node.refused("address_connections") == 3
        await sockets[0].close()
        await until(lambda: node.guard.connections_of(HERE) == 99)
        await stack.enter_async_context(await node.connect())
    assert node.guard.connections_of(HERE) == 0
    assert not [one for one in caplog.records if one.levelname == "ERROR"], "nor is it an error"


async def test_a_refused_handshake_says_why_as_every_error_does() -> None:
    limits = GuardLimits(requests=PLENTY, connections=1)
    async with guarded(limits) as node, await node.connect():
        headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
        headers |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        status, told, body = await node.get("/ws", **headers)
        assert status == 429
        assert told["X-Request-Id"] == body["request_id"]
        assert body["error_type"] == "rate_limit_exceeded"
        assert (body["code"], body["chain_id"]) == ("GRD-201", 84532)
        assert body["details"]["wire_code"] == "TOO_MANY_CONNECTIONS"
        assert body["details"]["expected"] == "at most 1"


async def test_requests_are_limited_by_address_and_told_when_to_come_again() -> None:
    limits = GuardLimits(requests=Limit(0.5, 3))
    async with guarded(limits) as node:
        assert [(await node.get())[0] for _ in range(3)] == [200] * 3
        status, headers, body = await node.get()
        assert (status, headers["Retry-After"]) == (429, "2")
        assert body["details"]["retry_after"] == 2
        assert (body["code"], body["details"]["wire_code"]) == ("GRD-202", "RATE_LIMITED")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await node.connect()
        assert refused.value.status == 429, "a new WebSocket counts as a request"
        assert node.refused("address_rate") == 2
        for _ in range(50):
            assert (await node.get("/health"))[0] == 200, "what is kept anyway is answered"
        node.clock.go(2)
        assert [(await node.get())[0] for _ in range(2)] == [200, 429]


async def test_a_stranger_cannot_take_another_address() -> None:
    async with guarded(GuardLimits(requests=Limit(0.001, 2))) as node:
        found = [(await node.get(**{FORWARDED: f"10.0.0.{n}"}))[0] for n in range(3)]
        assert found == [200, 200, 429]


async def test_behind_a_proxy_each_client_has_its_own_limits() -> None:
    limits = GuardLimits(requests=Limit(0.001, 2), connections=1)
    async with guarded(limits, proxies="127.0.0.1") as node:
        for client in ("198.51.100.1", "198.51.100.2", "2001:db8::1"):
            async with await node.connect(**{FORWARDED: f"9.9.9.9, {client}"}):
                assert node.guard.connections_of(ClientAddress.of(client)) == 1
            assert (await node.get(**{FORWARDED: client}))[0] == 200
            assert (await node.get(**{FORWARDED: client}))[0] == 429
        same_network = {FORWARDED: "2001:db8::ffff"}
        assert (await node.get(**same_network))[0] == 429


async def test_a_blocked_address_gets_403_at_everything(tmp_path: Path) -> None:
    blocklist = tmp_path / "blocklist"
    blocklist.write_text("198.51.100.0/24\n")
    async with guarded(proxies="127.0.0.1", blocklist=blocklist) as node:
        blocked = {FORWARDED: "198.51.100.7"}
        for path in ("/", "/health"):
            status, _, body = await node.get(path, **blocked)
            assert (status, body["code"], body["error_type"]) == (403, "GRD-101", "forbidden")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await node.connect(**blocked)
        assert refused.value.status == 403
        assert node.refused("address_blocked") == 3
        assert (await node.get())[0] == 200
        blocklist.write_text("# nobody\n")
        node.clock.go(1)
        async with await node.connect(**blocked):
            assert (await node.get(**blocked))[0] == 200


async def test_a_server_that_cannot_answer_a_handshake_closes_it() -> None:
    guard = Guard(GuardLimits(connections=0))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/ws", "headers": [], "client": ("127.0.0.1", 1)}
    await AdmissionMiddleware(Small().app(), guard)(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1013}]


async def test_what_is_no_request_passes() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        return None

    await AdmissionMiddleware(app, Guard())({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]
