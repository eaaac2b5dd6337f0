"""`GET /metrics` for Prometheus, and `GET /v1/autoscaling` for what starts and stops nodes.

Where METRICS_TOKEN is set, both are for those who show it.
"""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..monitoring.autoscaling import MOST_REPLICAS, document
from ..monitoring.errors import TokenNeeded
from ..monitoring.monitor import Monitor
from .errors import BadParameter
from .replies import ErrorBody, json_reply, request_id

_NO_STORE = {"cache-control": "no-store"}
_BEARER = "bearer "
_MOST_DIGITS = 9


class MetricsEndpoints:
    """Tells what the monitor knows.

    Args:
        token: Empty: anyone may ask.
    """

    def __init__(self, monitor: Monitor, token: str = "") -> None:
        self._monitor = monitor
        self._token = token.encode()

    def routes(self) -> list[Route]:
        return [
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/v1/autoscaling", self.autoscaling, methods=["GET"]),
        ]

    async def metrics(self, request: Request) -> Response:
        if not self._may_ask(request):
            return _token_needed(request)
        text = await self._monitor.metrics()
        return Response(text, headers=_NO_STORE, media_type=CONTENT_TYPE_LATEST)

    async def autoscaling(self, request: Request) -> Response:
        """`?replicas=N`: how many nodes run, 1 when it is not said."""
        if not self._may_ask(request):
            return _token_needed(request)
        replicas = _replicas(request.query_params.get("replicas", "1"))
        return json_reply(document(self._monitor.signals(), replicas), headers=_NO_STORE)

    def _may_ask(self, request: Request) -> bool:
        header = request.headers.get("authorization", "")
        shown = header[len(_BEARER) :].strip() if header[: len(_BEARER)].lower() == _BEARER else ""
        return not self._token or hmac.compare_digest(shown.encode("latin-1"), self._token)


def _token_needed(request: Request) -> Response:
    error = TokenNeeded("metrics are not for everyone", expected="the node's METRICS_TOKEN")
    body = ErrorBody(
        error_type="unauthorized",
        message=error.message,
        request_id=request_id(request),
        code=error.code,
        details={"expected": str(error.expected), "advice": error.advice},
    )
    return json_reply(body, 401, {**_NO_STORE, "www-authenticate": "Bearer"})


def _replicas(text: str) -> int:
    readable = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    if not readable or not 1 <= int(text) <= MOST_REPLICAS:
        raise BadParameter(
            "replicas is not a number of nodes",
            expected=f"1 to {MOST_REPLICAS}",
            got=repr(text[:80]),
        )
    return int(text)
