"""Ports: free, or held by the node that runs here already. And the DHT's first peers."""

from __future__ import annotations

import asyncio
import re
from typing import Literal

import httpx
import msgspec

from ...decoding import decode_json
from ..errors import PortInUse
from ..supervisor.run import require_free
from .finding import Finding, error, ok, skipped, warning
from .shared import Subject

_SECONDS = 3.0


class NodeHealth(msgspec.Struct):
    """What a node's /health says, as far as it matters here."""

    status: Literal["healthy", "degraded", "unhealthy"]
    issues: list[str] = []


_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_MULTIADDRESS = re.compile(r"/(?:ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/(\d{1,5})(?:/.*)?")


async def check_api_port(subject: Subject) -> list[Finding]:
    """API_PORT."""
    settings = subject.settings
    host, port = settings.api_host, settings.api_port
    if port == 0:
        advice = "set API_PORT, unless a proxy is told the port at each start"
        return [warning("ports", "API_PORT is 0: another one at each start", advice)]
    taken = await asyncio.to_thread(_taken, host, port)
    if taken is None:
        return [ok("ports", f"API_PORT {port} is free on {host}")]
    health = await own_health(host, port)
    if health is None:
        advice = "set another API_PORT, or end what listens there"
        return [error("ports", f"API_PORT {port} cannot be listened on: {taken}", advice)]
    says = f"a node runs on port {port} already, {health.status}"
    if health.status == "healthy":
        return [ok("ports", says)]
    return [warning("ports", f"{says}: {'; '.join(health.issues)}", "see the node's log")]


async def check_p2p(subject: Subject) -> list[Finding]:
    """P2P_PORT, and whether a peer of P2P_BOOTSTRAP can be reached."""
    settings = subject.settings
    if not settings.p2p_enabled:
        return [skipped("p2p", "P2P_ENABLED is false")]
    findings = [await _p2p_port(subject)]
    peers = [peer.strip() for peer in settings.p2p_bootstrap.split(",") if peer.strip()]
    if not peers:
        advice = "name one, unless this node is the one that others are told"
        return [*findings, warning("p2p", "P2P_BOOTSTRAP names no peer", advice)]
    return [*findings, *await asyncio.gather(*map(_peer, peers))]


async def _p2p_port(subject: Subject) -> Finding:
    settings = subject.settings
    taken = await asyncio.to_thread(_taken, settings.p2p_host, settings.p2p_port)
    if taken is None:
        return ok("p2p", f"P2P_PORT {settings.p2p_port} is free")
    if settings.api_port and await own_health(settings.api_host, settings.api_port):
        return ok("p2p", f"P2P_PORT {settings.p2p_port} is taken, while a node runs here")
    advice = "set another P2P_PORT, or end what listens there"
    return error("p2p", f"P2P_PORT {settings.p2p_port} cannot be listened on: {taken}", advice)


async def _peer(peer: str) -> Finding:
    found = _MULTIADDRESS.fullmatch(peer)
    if found is None:
        advice = "write it as /ip4/ADDRESS/tcp/PORT/p2p/ID"
        return error("p2p", f"P2P_BOOTSTRAP: {peer} is no address over TCP", advice)
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(found[1], int(found[2]))
    except (OSError, OverflowError, TimeoutError) as problem:
        why = str(problem) or "no answer in time"
        return warning("p2p", f"{peer} cannot be reached: {why}", "name another peer as well")
    writer.close()
    return ok("p2p", f"{peer} can be reached")


async def own_health(host: str, port: int) -> NodeHealth | None:
    """What a node that listens there says of itself; None when none does."""
    address = _ANYWHERE.get(host, host)
    url = f"http://{f'[{address}]' if ':' in address else address}:{port}/health"
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
            reply = await client.get(url)
        return decode_json(reply.content, NodeHealth)
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError):
        return None


def _taken(host: str, port: int) -> str | None:
    """Why the port cannot be listened on; None when it can."""
    try:
        require_free(host, port)
    except PortInUse as problem:
        return str(problem.got)
    return None
