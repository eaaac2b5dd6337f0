"""The sample configurations of nginx and Caddy, run on loopback in front of a node.

Only names of files, ports and addresses are put in place of those in the samples.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from platformless.children import Child
from tests.services.own import LOOPBACK, find_program, free_port, own_folder, wait_until

SAMPLES = Path(__file__).parents[2] / "deploy" / "proxy"
NAME = "node.example.com"
_SAMPLE_CERTIFICATE = f"/etc/ssl/{NAME}/fullchain.pem"
_SAMPLE_KEY = f"/etc/ssl/{NAME}/key.pem"
_START_SECONDS = 30


@dataclass(frozen=True)
class Proxied:
    """A running proxy."""

    kind: str
    https: int
    http: int
    certificate: Path

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.https}"

    @asynccontextmanager
    async def client(self, source: str = "127.0.0.2") -> AsyncIterator[aiohttp.ClientSession]:
        """A client that comes from an address."""
        connector = aiohttp.TCPConnector(
            local_addr=(source, 0), resolver=_OnLoopback(), ssl=self.tls(), limit=0
        )
        async with aiohttp.ClientSession(connector=connector) as http:
            yield http

    def tls(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A client's, of one version if that is named."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if version is not None:
            context.set_ciphers("DEFAULT@SECLEVEL=0")  # so that an old version is offered at all
            context.minimum_version = context.maximum_version = version
        return context

    async def raw(self, request: str, source: str = "127.0.0.2") -> str:
        """The answer to exactly these lines."""
        reader, writer = await asyncio.open_connection(
            LOOPBACK, self.https, ssl=self.tls(), server_hostname=NAME, local_addr=(source, 0)
        )
        try:
            writer.write(request.replace("\n", "\r\n").encode())
            return (await asyncio.wait_for(reader.read(-1), 30)).decode()
        finally:
            writer.close()


class _OnLoopback(AbstractResolver):
    """Everything is on this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=LOOPBACK, port=port, family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


@contextmanager
def running(kind: str, node_port: int) -> Iterator[Proxied]:
    """nginx or Caddy in front of a node, gone with the block.

    Raises:
        ServerMissing, ServerFailed
    """
    with own_folder(kind) as folder:
        folder.chmod(0o711)  # nginx's workers are another user
        certificate = _make_certificate(folder)
        proxied = Proxied(kind, free_port(), free_port(), certificate)
        command = _nginx if kind == "nginx" else _caddy
        check, run, environment = command(folder, proxied, node_port)
        subprocess.run(check, env=environment, check=True, capture_output=True, text=True)
        child = Child(run, environment=environment)
        try:
            wait_until(lambda: _listens(proxied.https), child, kind, _START_SECONDS)
            yield proxied
        finally:
            child.kill()


_Commands = tuple[list[str], list[str], Mapping[str, str]]


def _nginx(folder: Path, proxied: Proxied, node_port: int) -> _Commands:
    program = str(find_program("nginx", "usr/sbin/nginx"))
    configuration = _filled_in(
        folder,
        "nginx.conf",
        {
            "listen 80;": f"listen {LOOPBACK}:{proxied.http};",
            "listen [::]:80;": f"listen 127.0.0.2:{proxied.http};",
            "listen 443 ssl;": f"listen {LOOPBACK}:{proxied.https} ssl;",
            "listen [::]:443 ssl;": f"listen 127.0.0.2:{proxied.https} ssl;",
            "server 127.0.0.1:8080;": f"server 127.0.0.1:{node_port};",
            "/run/nginx.pid": f"{folder}/nginx.pid",
            "/var/log/nginx/error.log": f"{folder}/error.log",
            "/var/log/nginx/access.log": f"{folder}/access.log",
            "/var/lib/nginx/body": f"{folder}/body",
            "/var/lib/nginx/proxy": f"{folder}/proxy",
        },
    )
    base = [program, "-c", str(configuration), "-e", f"{folder}/error.log"]
    return [*base, "-t"], [*base, "-g", "daemon off;"], {**os.environ}


def _caddy(folder: Path, proxied: Proxied, node_port: int) -> _Commands:
    program = str(find_program("Caddy", "usr/bin/caddy"))
    configuration = _filled_in(
        folder,
        "Caddyfile",
        {
            "http_port 80\n": f"http_port {proxied.http}\n",
            "https_port 443\n": f"https_port {proxied.https}\n",
            "bind 0.0.0.0 [::]": f"bind {LOOPBACK}",
            "reverse_proxy 127.0.0.1:8080": f"reverse_proxy 127.0.0.1:{node_port}",
        },
    )
    own = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    file = ["--config", str(configuration), "--adapter", "caddyfile"]
    environment = {**os.environ, **own}
    return [program, "validate", *file], [program, "run", *file], environment


def _filled_in(folder: Path, name: str, changes: dict[str, str]) -> Path:
    text = (SAMPLES / name).read_text()
    here = {
        _SAMPLE_CERTIFICATE: f"{folder}/certificate.pem",
        _SAMPLE_KEY: f"{folder}/key.pem",
    }
    for old, new in {**changes, **here}.items():
        assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((LOOPBACK, port)) == 0


def _make_certificate(folder: Path) -> Path:
    """Signed by its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
