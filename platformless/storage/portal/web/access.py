"""Who may read and who may write: anyone, or who has the portal's token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from ..errors import Unauthorized
from ..settings import PortalSettings

Endpoint = Callable[[Request], Awaitable[Response]]

COOKIE = "s5-auth-token"
PARAMETER = "auth_token"
_SCHEME = "bearer "


class Access:
    """Puts the portal's rules before its endpoints."""

    def __init__(self, settings: PortalSettings) -> None:
        self._token = settings.token
        self.is_reading_public = settings.token is None or not settings.private_reads

    def reading(self, endpoint: Endpoint) -> Endpoint:
        return endpoint if self.is_reading_public else self.writing(endpoint)

    def writing(self, endpoint: Endpoint) -> Endpoint:
        async def checked(request: Request) -> Response:
            self.check(request)
            return await endpoint(request)

        return endpoint if self._token is None else checked

    def check(self, request: Request) -> None:
        """Raises:
        Unauthorized
        """
        offered = _offered(request)
        if self._token is None:
            return
        if offered is None:
            raise Unauthorized("a token is needed", got="none")
        if not hmac.compare_digest(offered.encode(), self._token.encode()):
            raise Unauthorized("not this portal's token", got="another")


def _offered(request: Request) -> str | None:
    header = request.headers.get("authorization", "")
    if header[: len(_SCHEME)].lower() == _SCHEME:
        return header[len(_SCHEME) :].strip()
    return request.cookies.get(COOKIE) or request.query_params.get(PARAMETER)
