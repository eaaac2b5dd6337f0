"""The sample configurations of nginx and Caddy, in front of a real node."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import httpx
import pytest
import pytest_asyncio

from platformless.node.running import Node
from tests.node.served import Served
from tests.node.served import served as served
from tests.node.wire import Wire
from tests.services.own import LOOPBACK

from .proxies import NAME, Proxied, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

HSTS = "Strict-Transport-Security"
BLOCKED, UNBLOCKED = "127.0.0.7", "203.0.113.9"
MOST = 3


@dataclass(frozen=True)
class Behind:
    """A node behind a proxy."""

    served: Served
    node: Node
    proxy: Proxied

    @asynccontextmanager
    async def wire(self, source: str = "127.0.0.2", **headers: str) -> AsyncIterator[Wire]:
        """A session over the proxy."""
        session_id = await self.served.session()
        async with self.proxy.client(source) as http:
            async with http.ws_connect(self.proxy.url + "/v1/ws", headers=headers) as socket:
                wire = Wire(socket, self.served.nodes.host_key, session_id, b"\x21" * 32)
                assert (await wire.next())["type"] == "connected"
                yield wire

    async def status(
        self, path: str, source: str = "127.0.0.2", **headers: str
    ) -> tuple[int, dict[str, str]]:
        async with self.proxy.client(source) as http:
            async with http.get(self.proxy.url + path, headers=headers) as reply:
                return reply.status, dict(reply.headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["nginx", "caddy"])
async def behind(
    request: pytest.FixtureRequest, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Behind]:
    folder: Path = tmp_path_factory.mktemp("behind")
    blocklist = folder / "blocklist"
    blocklist.write_text(f"{BLOCKED}\n{UNBLOCKED}\n")
    async with served.other(
        folder / "node",
        trusted_proxies=LOOPBACK,
        blocklist_file=blocklist,
        max_connections_per_address=MOST,
    ) as node:
        port = int(node.report.url.rpartition(":")[2])
        with running(str(request.param), port) as proxy:
            yield Behind(served, node, proxy)


async def test_a_session_works_over_it(behind: Behind) -> None:
    async with behind.wire() as wire:
        assert await wire.answer("Say hello.", 8)
        assert await wire.answer("And again.", 8)


async def test_an_answer_is_passed_on_piece_by_piece(behind: Behind) -> None:
    body = {"prompt": "Count to a hundred.", "max_tokens": 150, "stream": True}
    body["session_id"] = await behind.served.session()
    async with behind.proxy.client() as http:
        async with http.post(behind.proxy.url + "/v1/inference", json=body) as reply:
            assert reply.status == 200
            async for line in reply.content:
                if b'"content"' in line:
                    break
            assert behind.node.sessions.answering == 1, "the first piece came before the last"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_tls_is_refused(behind: Behind, version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"):
        await asyncio.open_connection(
            LOOPBACK, behind.proxy.https, ssl=behind.proxy.tls(version), server_hostname=NAME
        )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_new_tls_is_spoken(behind: Behind, version: ssl.TLSVersion) -> None:
    _, writer = await asyncio.open_connection(
        LOOPBACK, behind.proxy.https, ssl=behind.proxy.tls(version), server_hostname=NAME
    )
    spoken = writer.get_extra_info("ssl_object")
    assert spoken.version() == version.name.replace("_", ".")
    assert "GCM" in spoken.cipher()[0] or "CHACHA20" in spoken.cipher()[0]
    writer.close()


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/nothing", 404), ("/metrics", 403)]
)
async def test_every_answer_demands_https_from_then_on(
    behind: Behind, path: str, status: int
) -> None:
    found, headers = await behind.status(path)
    assert (found, headers[HSTS]) == (status, "max-age=31536000")


async def test_plain_http_is_sent_to_https(behind: Behind) -> None:
    async with httpx.AsyncClient() as http:
        reply = await http.get(
            f"http://{LOOPBACK}:{behind.proxy.http}/v1/models?x=1", headers={"Host": NAME}
        )
    assert reply.status_code == 308
    assert reply.headers["location"].startswith(f"https://{NAME}")
    assert reply.headers["location"].endswith("/v1/models?x=1")


async def test_what_a_client_says_of_its_address_is_not_believed(behind: Behind) -> None:
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        claim = f"for={UNBLOCKED}" if header == "Forwarded" else UNBLOCKED
        status, _ = await behind.status("/v1/version", **{header: claim})
        assert status == 200, "the address that it claims is blocked, its own is not"
        status, _ = await behind.status("/v1/version", BLOCKED, **{header: "198.51.100.1"})
        assert status == 403, "its own is blocked, the one that it claims is not"


async def test_connections_are_counted_by_the_client(behind: Behind) -> None:
    async with AsyncExitStack() as stack:
        for number in range(MOST):
            spoofed = {"X-Forwarded-For": f"198.51.100.{number}"}
            await stack.enter_async_context(behind.wire("127.0.0.3", **spoofed))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stack.enter_async_context(behind.wire("127.0.0.3"))
        assert refused.value.status == 429
        assert refused.value.headers is not None
        assert refused.value.headers["Retry-After"] == "10"
        await stack.enter_async_context(behind.wire("127.0.0.4"))


@pytest.mark.parametrize(
    "path",
    (
        "/metrics",
        "//metrics",
        "/%6detrics",
        "/v1/../metrics",
        "/metrics/",
        "/metrics?x=1",
        "/v1/autoscaling",
        "/v1//autoscaling",
        "/v1/autoscaling?replicas=2",
    ),
)
async def test_what_is_for_operators_is_not_told_outside(behind: Behind, path: str) -> None:
    answer = await behind.proxy.raw(f"GET {path} HTTP/1.1\nHost: {NAME}\nConnection: close\n\n")
    assert answer.startswith("HTTP/1.1 403 "), answer[:200]
    assert "platformless_" not in answer


async def test_operators_are_told_at_the_node_itself(behind: Behind) -> None:
    async with httpx.AsyncClient(base_url=behind.node.report.url) as http:
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/v1/autoscaling")).status_code == 200


async def test_bodies_are_as_large_as_the_node_takes_them(behind: Behind) -> None:
    """Caddy passes on what is announced to be larger, and the node refuses it; when the node closes
    before everything was passed on, Caddy says 502."""
    session_id = await behind.served.session()
    async with behind.proxy.client() as http:
        for size, statuses in ((6 << 20, {400}), (9 << 20, {400, 413, 502})):
            body = json.dumps({"prompt": "x" * size, "session_id": session_id})
            async with http.post(behind.proxy.url + "/v1/inference", data=body) as reply:
                assert reply.status in statuses
