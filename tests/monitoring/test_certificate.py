"""The certificate of the public address, from a real TLS server on this machine."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from platformless.node.monitoring.certificate import (
    CertificateWatch,
    certificate_families,
    expiry_of,
    has_certificate,
)
from platformless.node.monitoring.exposition import exposed

from .scraping import lint, samples_of, value
from .waiting import until

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


class TlsServer:
    """Says nothing; its certificate is vouched for by nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def certify(self, until: datetime.datetime) -> None:
        """Takes a certificate that ends then."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node.example")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - 90 * DAY)
            .not_valid_after(until)
            .sign(key, hashes.SHA256())
        )
        path = self._folder / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        self._context.load_cert_chain(path)

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=self._context
        )
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TlsServer]:
    server = TlsServer(tmp_path)
    server.certify(NOW + 20 * DAY)
    await server.start()
    yield server
    await server.stop()


async def test_the_end_of_a_certificate_is_told(server: TlsServer) -> None:
    async with CertificateWatch(server.url) as watch:
        await until(lambda: watch.known is not None)
        text = exposed(certificate_families(watch.known)).decode()
    assert lint(text) == ""
    told = value(samples_of(text), "certificate_expiry_timestamp_seconds")
    assert told == (NOW + 20 * DAY).timestamp()


async def test_one_that_has_ended_is_read_too(server: TlsServer) -> None:
    server.certify(NOW - DAY)
    assert (await expiry_of(server.url)).expires_at == (NOW - DAY).timestamp()


async def test_a_renewed_one_is_seen(server: TlsServer) -> None:
    async with CertificateWatch(server.url, check_seconds=0.01) as watch:
        await until(lambda: watch.known is not None)
        server.certify(NOW + 90 * DAY)
        renewed = (NOW + 90 * DAY).timestamp()
        await until(lambda: watch.known is not None and watch.known.expires_at == renewed)


async def test_an_address_that_answers_later_is_asked_again(
    server: TlsServer, caplog: pytest.LogCaptureFixture
) -> None:
    await server.stop()
    async with CertificateWatch(server.url, again_seconds=0.01) as watch:
        await until(lambda: "cannot be had" in caplog.text)
        assert watch.known is None
        assert exposed(certificate_families(watch.known)) == b""
        port = int(server.url.rpartition(":")[2])
        server._server = await asyncio.start_server(
            lambda _reader, writer: writer.close(), "127.0.0.1", port, ssl=server._context
        )
        await until(lambda: watch.known is not None)


@pytest.mark.parametrize("url", ["", "http://node.example:8080", "node.example"])
async def test_an_address_without_tls_is_never_asked(url: str) -> None:
    assert not has_certificate(url)
    async with CertificateWatch(url) as watch:
        assert watch.known is None
