"""An RPC endpoint that misbehaves on demand, in front of a real node."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp import web

Fault = Callable[[dict[str, Any]], Awaitable[web.Response | None]]
"""Answers a request in the node's place, or None to let it through."""


class FaultyNode:
    """A proxy. While `fault` is set, it sees every request first."""

    def __init__(self, node_url: str) -> None:
        self._node_url = node_url
        self._port = 0
        self.fault: Fault | None = None
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shut()
        await self._session.close()

    async def open(self) -> None:
        """Listens, on the same port as before."""
        application = web.Application()
        application.router.add_post("/", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def shut(self) -> None:
        """Ends every connection and refuses new ones, as a node that is down does."""
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = msgspec.json.decode(body)
        self.asked[call["method"]] += 1
        if self.fault is not None:
            answer = await self.fault(call)
            if answer is not None:
                return answer
        async with self._session.post(
            self._node_url, data=body, headers={"content-type": "application/json"}
        ) as reply:
            self.answered[call["method"]] += 1
            return web.Response(
                body=await reply.read(), status=reply.status, content_type="application/json"
            )


def for_method(method: str, fault: Fault) -> Fault:
    """The fault for one method only."""

    async def only(call: dict[str, Any]) -> web.Response | None:
        return await fault(call) if call["method"] == method else None

    return only


def text(body: str, status: int = 200, **headers: str) -> Fault:
    async def answer(_call: dict[str, Any]) -> web.Response | None:
        return web.Response(text=body, status=status, headers=headers)

    return answer


def reply(**fields: Any) -> Fault:
    """A JSON-RPC reply with the request's id."""

    async def answer(call: dict[str, Any]) -> web.Response | None:
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], **fields})

    return answer


async def silence(_call: dict[str, Any]) -> web.Response | None:
    """Never answers."""
    await asyncio.sleep(3600)
    return None
