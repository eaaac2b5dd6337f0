"""Getting the index from the host itself: one request, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx

from .errors import IndexUnavailable
from .index_check import MAX_INDEX_BYTES

_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}


async def index_from_host(api_url: str, session_id: int, *, private_hosts: bool = False) -> bytes:
    """The index that the host at `api_url`, as the registry has it, serves.

    Args:
        private_hosts: Whether an address of this machine or its network may be asked: the address
            was written by a stranger.

    Raises:
        IndexUnavailable: when there is none, or it cannot be had.
    """
    name, port = _host_of(api_url)
    if not private_hosts:
        await _require_public(name, port, api_url)
    url = f"{api_url.rstrip('/')}/v1/checkpoints/{session_id}"
    try:
        async with asyncio.timeout(_SECONDS), httpx.AsyncClient(timeout=_SECONDS) as http:
            return await _read(http, url)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError) as error:
        raise IndexUnavailable(
            "the host does not give its index", got=f"{type(error).__name__}: {error}"
        ) from error


async def _read(http: httpx.AsyncClient, url: str) -> bytes:
    # Identity: what comes is what is counted; no redirects: the registry names one address.
    async with http.stream("GET", url, headers={"accept-encoding": "identity"}) as reply:
        if reply.status_code != httpx.codes.OK:
            raise IndexUnavailable("the host gives no index", got=f"HTTP {reply.status_code}")
        data = bytearray()
        async for piece in reply.aiter_raw():
            data += piece
            if len(data) > MAX_INDEX_BYTES:
                raise IndexUnavailable(
                    "the host's index is too large", expected=f"at most {MAX_INDEX_BYTES} bytes"
                )
        return bytes(data)


def _host_of(api_url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(api_url)
        name, port = parts.hostname, parts.port
    except ValueError:
        name, port = None, None
    else:
        if parts.scheme not in _PORTS:
            name = None
    if not name:
        raise IndexUnavailable(
            "the host's address is not one of HTTP", expected="http:// or https://", got=api_url
        )
    return name, port or _PORTS[parts.scheme]


async def _require_public(name: str, port: int, api_url: str) -> None:
    """The name is looked up, and again by the request: one that changes its answer in between gets
    past this, to a service that answers a GET of one path."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_SECONDS):
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        public = all(ipaddress.ip_address(address[0]).is_global for *_, address in found)
    except (OSError, TimeoutError, UnicodeError, ValueError) as error:
        raise IndexUnavailable("the host's name is not known", got=f"{name}: {error}") from error
    if not public:
        raise IndexUnavailable(
            "the host's address is within a private network and was not asked",
            expected="a public address, or leave to ask private ones",
            got=api_url,
        )
