"""Answers of the portal, and errors as JSON: {"error": {"code", "message", "expected", "got"}}."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ....errors import PlatformlessError
from ....protocol.errors import ProtocolError
from ...errors import CidError
from ..errors import BodyStalled, NoSuchEndpoint, PortalError, RangeNotSatisfiable, Unauthorized


def json_reply(
    fields: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        msgspec.json.encode(fields), status, headers=headers, media_type="application/json"
    )


def error_reply(request: Request, error: Exception) -> Response:
    """The answer to a request that ended with one of this project's errors."""
    if not isinstance(error, PlatformlessError):
        raise error
    headers = {"cache-control": "no-store"}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, BodyStalled):
        headers["connection"] = "close"
    if isinstance(error, RangeNotSatisfiable):
        headers["content-range"] = f"bytes */{error.size}"
    fields: dict[str, Any] = {"error": error.to_json()}
    if "path" in request.path_params:  # what clients of the path interface look for
        fields |= {"path": request.path_params["path"], "message": error.message}
    return json_reply(fields, _status(error), headers)


def no_endpoint(request: Request, error: Exception) -> Response:
    """The answer where no route leads."""
    if not isinstance(error, HTTPException):
        raise error
    reason = NoSuchEndpoint(error.detail, got=f"{request.method} {request.url.path[:200]}")
    return json_reply({"error": reason.to_json()}, error.status_code, dict(error.headers or {}))


def failed(_request: Request, _error: Exception) -> Response:
    """The answer to a request that this program failed at; the log says more."""
    return json_reply({"error": PortalError("the portal failed; see its log").to_json()}, 500)


def nobody_listens(_request: Request, error: Exception) -> Response:
    """The client went away: any answer will do."""
    if not isinstance(error, ClientDisconnect):
        raise error
    return Response(status_code=400)


def _status(error: PlatformlessError) -> int:
    if isinstance(error, PortalError):
        return error.http_status
    return 400 if isinstance(error, CidError | ProtocolError) else 500
