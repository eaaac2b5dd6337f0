"""Replies as JSON, and errors in the form that existing clients know, with this project's code.

    {"error_type", "message", "request_id", "code", "details": {…}, "chain_id"}

A client hears what it did wrong, with what was expected and got. Of what went wrong here it hears
only that it did, and the request's id, under which the log has the rest.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...chain.errors import ChainMoved, RpcError
from ...engine.errors import EngineStopped, QueueFull, RequestError, TokenLimitExceeded
from ...errors import PlatformlessError
from ...protocol.errors import ProtocolError
from ...prover.ledger.errors import LedgerError
from .. import errors as node
from ..guard import errors as guard
from . import errors as http

log = logging.getLogger(__name__)

ErrorType = Literal[
    "not_found",
    "model_not_found",
    "method_not_allowed",
    "invalid_request",
    "validation_error",
    "unauthorized",
    "forbidden",
    "rate_limit_exceeded",
    "service_unavailable",
    "internal_error",
    "timeout",
]
STATUS: dict[ErrorType, int] = {
    "not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "invalid_request": 400,
    "validation_error": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "rate_limit_exceeded": 429,
    "service_unavailable": 503,
    "internal_error": 500,
    "timeout": 504,
}
QUEUE_SECONDS = 5
"""After which a client may try again when the engine's queue was full."""
REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"[0-9A-Za-z._:-]{1,64}")
_NO_STORE = {"cache-control": "no-store"}

_TYPES: tuple[tuple[type[PlatformlessError], ErrorType], ...] = (
    (http.NoSuchEndpoint, "not_found"),
    (http.MethodNotAllowed, "method_not_allowed"),
    (http.TooManyRequests, "rate_limit_exceeded"),
    (http.BadBody, "validation_error"),
    (http.BadParameter, "validation_error"),
    (http.BodyTooLarge, "invalid_request"),
    (http.BodyStalled, "invalid_request"),
    (node.JobNotFound, "not_found"),
    (node.ModelNotServed, "model_not_found"),
    (node.ForeignClient, "unauthorized"),
    (node.ChallengeUnknown, "unauthorized"),
    (node.ChallengeExpired, "unauthorized"),
    (node.WalletProofNeeded, "unauthorized"),
    (node.WrongWallet, "unauthorized"),
    (node.TooManySessions, "service_unavailable"),
    (node.ShuttingDown, "service_unavailable"),
    (guard.AddressBlocked, "forbidden"),
    (guard.WalletBlocked, "forbidden"),
    (guard.TooManyConnections, "rate_limit_exceeded"),
    (guard.RateLimited, "rate_limit_exceeded"),
    (node.SessionError, "invalid_request"),
    (ProtocolError, "invalid_request"),
    (QueueFull, "rate_limit_exceeded"),
    (RequestError, "invalid_request"),
)
"""Errors that a client is told about; the first class that fits counts."""

_UNAVAILABLE: tuple[tuple[type[PlatformlessError], str], ...] = (
    (EngineStopped, "the model is not running at the moment"),
    (RpcError, "the chain cannot be asked at the moment"),
    (ChainMoved, "the chain cannot be asked at the moment"),
    (LedgerError, "the node cannot keep what it answers at the moment"),
)
"""What is said instead of errors that may pass; theirs may name what no client should know."""

Details = dict[str, str | int]
Handler = Callable[[Request, Exception], Awaitable[Response]]


class ErrorBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as a client reads it."""

    error_type: ErrorType
    message: str
    request_id: str
    code: str
    details: Details
    chain_id: int | None = None


def json_reply(body: Struct, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(body), status, headers=headers, media_type="application/json"
    )


def request_id(request: Request) -> str:
    """The id of a request: what its header or `name_request` says, otherwise a random one."""
    known: str | None = getattr(request.state, "request_id", None)
    if known is None:
        known = request.headers.get(REQUEST_ID_HEADER, "")
        if not _REQUEST_ID.fullmatch(known):
            known = secrets.token_hex(8)
        request.state.request_id = known
    return known


def name_request(request: Request, name: str | None) -> str:
    """Takes the id that a client's body gives its request, if it is short and plain; returns the
    one that counts."""
    if name is not None and _REQUEST_ID.fullmatch(name):
        request.state.request_id = name
    return request_id(request)


class ErrorReplies:
    """Answers to requests that ended with an error.

    Args:
        chain_id: Named in every error, as clients of several chains expect it.
    """

    def __init__(self, chain_id: int | None = None) -> None:
        self._chain_id = chain_id

    def handlers(self) -> dict[Any, Handler]:
        """For Starlette, by the error's class."""
        return {
            PlatformlessError: self.coded,
            HTTPException: self.no_endpoint,
            TimeoutError: self.timed_out,
            ClientDisconnect: self.nobody_listens,
            Exception: self.failed,
        }

    async def coded(self, request: Request, error: Exception) -> Response:
        """One of this project's errors."""
        if not isinstance(error, PlatformlessError) or request.scope["type"] != "http":
            raise error
        for kind, error_type in _TYPES:
            if isinstance(error, kind):
                return self._reply(
                    request, error_type, error.code, error.message, details=_details(error)
                )
        name = request_id(request)
        for kind, message in _UNAVAILABLE:
            if isinstance(error, kind):
                log.warning("request %s was not served: %s", name, error, extra={"request": name})
                return self._reply(request, "service_unavailable", error.code, message)
        log.error("request %s failed", name, exc_info=error, extra={"request": name})
        return self._failed(request)

    async def no_endpoint(self, request: Request, error: Exception) -> Response:
        """No route leads there."""
        if not isinstance(error, HTTPException) or request.scope["type"] != "http":
            raise error
        refused = f"{request.method} {request.url.path[:200]}"
        reason: http.HttpError = http.NoSuchEndpoint("no such endpoint", got=refused)
        if error.status_code == STATUS["method_not_allowed"]:
            reason = http.MethodNotAllowed("not with this method", got=refused)
        reply = await self.coded(request, reason)
        reply.headers.update(error.headers or {})
        return reply

    async def timed_out(self, request: Request, error: Exception) -> Response:
        """Something took longer than the node waits."""
        if request.scope["type"] != "http":
            raise error
        name = request_id(request)
        log.warning("request %s took too long", name, exc_info=error, extra={"request": name})
        code = http.AnswerFailed.code
        return self._reply(request, "timeout", code, "the node took too long over this request")

    async def nobody_listens(self, _request: Request, error: Exception) -> Response:
        """The client went away: any answer will do."""
        if not isinstance(error, ClientDisconnect):
            raise error
        return Response(status_code=400)

    async def failed(self, request: Request, error: Exception) -> Response:
        """An error that nobody foresaw. It is told outside of the rules for other origins, so
        that this reply has to allow them itself."""
        name = request_id(request)
        log.error("request %s failed", name, exc_info=error, extra={"request": name})
        reply = self._failed(request)
        reply.headers["access-control-allow-origin"] = "*"
        return reply

    def _failed(self, request: Request) -> Response:
        message = "the node failed at this request; its log has more under the request's id"
        return self._reply(request, "internal_error", http.AnswerFailed.code, message)

    def _reply(
        self,
        request: Request,
        error_type: ErrorType,
        code: str,
        message: str,
        details: Details | None = None,
    ) -> Response:
        body = ErrorBody(
            error_type=error_type,
            message=message,
            request_id=request_id(request),
            code=code,
            details=details or {},
            chain_id=self._chain_id,
        )
        headers = {**_NO_STORE, REQUEST_ID_HEADER: body.request_id}
        if "retry_after" in body.details:
            headers["Retry-After"] = str(body.details["retry_after"])
        if code in (http.BodyTooLarge.code, http.BodyStalled.code):
            headers["Connection"] = "close"  # the rest of the body is not read
        return json_reply(body, STATUS[error_type], headers)


def _details(error: PlatformlessError) -> Details:
    """What a client can go by: what was expected, got and can be done, and numbers."""
    fields = error.to_json()
    told: Details = {name: fields[name] for name in ("expected", "got", "advice") if name in fields}
    if isinstance(error, node.SessionError):
        told["wire_code"] = error.wire_code
    if isinstance(error, TokenLimitExceeded):
        told["prompt_tokens"] = error.prompt_tokens
        told["context_window_size"] = error.context_size
    if isinstance(error, QueueFull):
        told["retry_after"] = QUEUE_SECONDS
    if isinstance(error, http.TooManyRequests):
        told["retry_after"] = error.retry_after
    if isinstance(error, guard.GuardError) and error.retry_after is not None:
        told["retry_after"] = error.retry_after
    return told
