"""Ports, the certificate at PUBLIC_URL, portals, broker and the DHT's peers: real servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from platformless.node.doctor.finding import Level
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from tests.node.world import NodeWorld
from tests.pipeline.brokers import OwnValkey

from .conftest import Patient, levels
from .tls import Authority, tls_server

NOBODY = "127.0.0.1:1"
PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


@contextmanager
def listener() -> Iterator[int]:
    """A port that something else holds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Trusted for the length of a test."""
    authority = Authority.made(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


async def test_a_free_port_is_well(patient: Patient) -> None:
    assert (await patient.finding("ports")).level is Level.OK


async def test_a_port_that_another_program_holds_is_told(patient: Patient) -> None:
    with listener() as port:
        found = await patient.finding("ports", API_PORT=port)
    assert found.level is Level.ERROR
    assert str(port) in found.says


async def test_a_port_that_the_running_node_holds_is_well(
    patient: Patient, nodes: NodeWorld
) -> None:
    async with nodes.node(engine_threads=1) as node:
        port = node.report.url.rpartition(":")[2]
        found = await patient.finding("ports", API_PORT=port)
        assert (found.level, "runs" in found.says) == (Level.OK, True), found


async def test_a_port_of_chance_is_a_warning(patient: Patient) -> None:
    assert (await patient.finding("ports", API_PORT=0)).level is Level.WARNING


async def test_a_certificate_that_clients_trust_is_well(
    patient: Patient, authority: Authority
) -> None:
    async with tls_server(authority.issued()) as url:
        found = await patient.finding("certificate", PUBLIC_URL=url)
    assert found.level is Level.OK
    assert "90 days" in found.says


async def test_a_certificate_that_ends_soon_is_a_warning(
    patient: Patient, authority: Authority
) -> None:
    async with tls_server(authority.issued(days=20)) as url:
        found = await patient.finding("certificate", PUBLIC_URL=url)
    assert found.level is Level.WARNING


async def test_a_certificate_that_has_ended_is_told(patient: Patient, authority: Authority) -> None:
    async with tls_server(authority.issued(days=-3)) as url:
        found = await patient.finding("certificate", PUBLIC_URL=url)
    assert (found.level, "ended on" in found.says) == (Level.ERROR, True)


async def test_a_certificate_that_nobody_vouches_for_is_told(
    patient: Patient, authority: Authority
) -> None:
    async with tls_server(authority.issued(self_signed=True)) as url:
        found = await patient.finding("certificate", PUBLIC_URL=url)
    assert (found.level, "self-signed" in found.says) == (Level.ERROR, True)


async def test_a_certificate_of_another_name_is_told(
    patient: Patient, authority: Authority
) -> None:
    async with tls_server(authority.issued(name="other.example.com")) as url:
        found = await patient.finding("certificate", PUBLIC_URL=url)
    assert (found.level, "other.example.com" in found.says) == (Level.ERROR, True)


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("http://node.example.com", Level.WARNING),
        (f"https://{NOBODY}", Level.WARNING),
        ("node.example.com", Level.ERROR),
        ("https://[", Level.ERROR),
        ("", Level.SKIPPED),
    ],
)
async def test_an_address_without_tls_is_told(patient: Patient, url: str, level: Level) -> None:
    assert (await patient.finding("certificate", PUBLIC_URL=url)).level is level


async def test_a_server_without_tls_is_no_certificate(patient: Patient) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await patient.finding("certificate", PUBLIC_URL=f"https://127.0.0.1:{port}")
    assert found.level is Level.WARNING


async def test_a_portal_is_only_written_to_when_asked(patient: Patient, tmp_path: Path) -> None:
    token = "a-token"  # noqa: S105
    async with EmbeddedPortal(PortalSettings(tmp_path / "portal", token=token)) as portal:
        space = portal.contents.blobs.space
        settings: dict[str, Any] = {"S5_PORTAL_URL": portal.url, "S5_PORTAL_TOKEN": token}
        found = await patient.finding("portal", **settings)
        assert (found.level, "s5-portal" in found.says) == (Level.OK, True)
        assert space.used_bytes == 0
        found = await patient.finding("portal", write=True, **settings)
        assert (found.level, "read back" in found.says) == (Level.OK, True)
        assert space.used_bytes > 0
        settings["S5_PORTAL_TOKEN"] = "another-token"  # noqa: S105
        found = await patient.finding("portal", write=True, **settings)
        assert found.level is Level.ERROR
        assert "another-token" not in f"{found}"


async def test_every_portal_is_asked(patient: Patient, tmp_path: Path) -> None:
    async with EmbeddedPortal(PortalSettings(tmp_path / "portal")) as portal:
        found = await patient.findings("portal", S5_PORTAL_URL=f"{portal.url},http://{NOBODY}")
    assert levels(found) == [Level.OK, Level.ERROR]
    assert NOBODY in found[1].says
    assert (await patient.finding("portal")).level is Level.OK


async def test_the_embedded_broker_is_there(patient: Patient) -> None:
    found = await patient.finding("broker")
    assert (found.level, "its own" in found.says) == (Level.OK, True)
    assert not patient.data.exists()


async def test_a_broker_that_answers_is_well(patient: Patient, tmp_path: Path) -> None:
    with OwnValkey(tmp_path / "broker") as server:
        assert (await patient.finding("broker", BROKER_URL=server.url)).level is Level.OK


async def test_a_rabbitmq_that_answers_is_well(patient: Patient, rabbitmq_url: str) -> None:
    assert (await patient.finding("broker", BROKER_URL=rabbitmq_url)).level is Level.OK


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
async def test_a_broker_that_is_dead_is_told(patient: Patient, scheme: str) -> None:
    url = f"{scheme}://user:secret-word@{NOBODY}"
    found = await patient.finding("broker", BROKER_URL=url)
    assert found.level is Level.ERROR
    assert NOBODY in found.says
    assert "secret-word" not in f"{found}"


async def test_an_address_that_is_no_brokers_is_told(patient: Patient) -> None:
    found = await patient.finding("broker", BROKER_URL="http://127.0.0.1")
    assert found.level is Level.ERROR


async def test_the_dht_is_looked_at_only_when_the_node_takes_part(patient: Patient) -> None:
    assert (await patient.finding("p2p")).level is Level.SKIPPED
    with listener() as taken, listener() as peer_port:
        peers = f"/ip4/127.0.0.1/tcp/{peer_port}/p2p/{PEER},/ip4/127.0.0.1/tcp/1/p2p/{PEER},nobody"
        found = await patient.findings(
            "p2p",
            P2P_ENABLED="true",
            P2P_HOST="127.0.0.1",
            P2P_PORT=taken,
            P2P_BOOTSTRAP=peers,
        )
    assert levels(found) == [Level.ERROR, Level.OK, Level.WARNING, Level.ERROR]
