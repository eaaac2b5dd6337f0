"""Each RPC endpoint asked by itself: whether it answers, which chain it serves, how far it is."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from ...chain.errors import ChainError
from ...chain.replies import EndpointFault, read_reply

ENDPOINT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What an endpoint that answers says."""

    chain_id: int
    head: int
    """Number of its newest block."""
    head_hash: str
    head_time: int
    """Unix time in seconds."""
    latency_seconds: float
    """Of a request over a connection that was there already."""
    asked_at: float
    """This machine's time when the last answer had come."""
    date: float | None
    """The `Date` of that answer; None when there is none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, by the part of its URL that is no secret, and what came of asking it."""

    shown: str
    url: str
    answered: Answered | None
    problem: str = ""


def shown(url: str) -> str:
    """A URL without user, path and query, in which providers have their keys."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an unreadable address"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


async def ask_endpoint(url: str, clock: Callable[[], float]) -> Endpoint:
    """Never raises: what went wrong is told in `problem`."""
    try:
        async with httpx.AsyncClient(timeout=ENDPOINT_SECONDS, trust_env=False) as client:
            answered = await _asked(client, url, clock)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
        return Endpoint(shown(url), url, None, _told(problem, url))
    except (EndpointFault, ChainError, ValueError) as problem:
        return Endpoint(shown(url), url, None, f"no usable answer: {_told(problem, url)}")
    return Endpoint(shown(url), url, answered)


async def _asked(client: httpx.AsyncClient, url: str, clock: Callable[[], float]) -> Answered:
    _, chain_id = await _post(client, url, "eth_chainId")
    began = time.monotonic()
    reply, head = await _post(client, url, "eth_getBlockByNumber", "latest", False)
    latency = time.monotonic() - began
    now = clock()
    if head is None:
        raise EndpointFault("it has no newest block")
    return Answered(
        chain_id=int(chain_id, 16),
        head=int(head["number"], 16),
        head_hash=head["hash"],
        head_time=int(head["timestamp"], 16),
        latency_seconds=latency,
        asked_at=now,
        date=_date(reply.headers.get("date")),
    )


async def _post(
    client: httpx.AsyncClient, url: str, method: str, *params: object
) -> tuple[httpx.Response, Any]:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    reply = await client.post(url, content=body, headers={"content-type": "application/json"})
    return reply, read_reply(method, 1, reply.status_code, reply.content)


def _date(text: str | None) -> float | None:
    """Unix time of a `Date` header (RFC 9110, 5.6.7), which is in UTC."""
    if text is None:
        return None
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return None


def _told(problem: Exception, url: str) -> str:
    """Its text without the URL, which may hold a key."""
    text = str(problem).replace(url, shown(url)) or type(problem).__name__
    return text if not isinstance(problem, httpx.TimeoutException) else "no answer in time"
