"""Admission of requests and WebSockets, before anything else is done for them.

An ASGI application around the node's. What is refused is told as every error is; of a WebSocket
before it is accepted, as the answer to its handshake, so that its client hears the reason at once.
"""

from __future__ import annotations

import contextlib

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..server.replies import ErrorReplies
from .client_address import ClientAddress
from .errors import GuardError
from .guard import Guard

UNCOUNTED = frozenset({"/health", "/v1/health", "/status", "/ready", "/metrics"})
"""Answered from what is kept, however often they are asked: those who watch a node share an
address with its clients, behind a proxy that is not named."""
_FORWARDED = b"x-forwarded-for"
_TRY_AGAIN_LATER = 1013


def client_of(guard: Guard, scope: Scope) -> ClientAddress:
    """Whose request or WebSocket it is."""
    peer = scope.get("client")
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED]
    return guard.client(peer[0] if peer else None, forwarded)


class AdmissionMiddleware:
    """Asks the guard.

    Args:
        chain_id: Named in errors.
    """

    def __init__(self, app: ASGIApp, guard: Guard, chain_id: int | None = None) -> None:
        self._app = app
        self._guard = guard
        self._replies = ErrorReplies(chain_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        address = client_of(self._guard, scope)
        with contextlib.ExitStack() as open_connection:
            try:
                self._guard.require_served(address)
                if scope["path"] not in UNCOUNTED:
                    self._guard.take_request(address)
                if scope["type"] == "websocket":
                    open_connection.enter_context(self._guard.connection(address))
            except GuardError as error:
                await self._refuse(error, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _refuse(self, error: GuardError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await self._replies.coded(Request(scope, receive), error)
            response.headers["Connection"] = "close"  # the body is not read
        elif "websocket.http.response" in scope.get("extensions", {}):
            asked = Request({**scope, "type": "http", "method": "GET"}, receive)
            response = await self._replies.coded(asked, error)
        else:
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
            return
        await response(scope, receive, send)
