"""The embedded portal as a running server, in the event loop of whoever starts it."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from ...web_server import WebServer
from .contents import Contents
from .errors import PortalError, PortUnavailable
from .settings import PortalSettings
from .web.app import portal_app

_SWEEPS_A_LIFETIME = 4
_SHORTEST_PAUSE_SECONDS = 1


class EmbeddedPortal:
    """A portal that serves from `async with` until its end.

    Args:
        port: 0: a free one; see `url`.

    Raises, at `async with`:
        PortUnavailable, DiskFull, DiskFailed
    """

    def __init__(self, settings: PortalSettings, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.settings = settings
        self._host = host
        self._port = port

    async def __aenter__(self) -> Self:
        self.contents = await asyncio.to_thread(Contents, self.settings)
        self._server = WebServer(portal_app(self.contents), host=self._host, port=self._port)
        try:
            await self._server.__aenter__()
        except OSError as error:
            raise PortUnavailable(
                f"cannot listen on {self._host}, port {self._port}",
                got=getattr(error, "strerror", None) or error,
            ) from error
        self._sweeping = asyncio.create_task(self._sweep_now_and_then())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sweeping.cancel()
        await self._server.__aexit__(kind, error, traceback)
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeping

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return self._server.url

    async def _sweep_now_and_then(self) -> None:
        pause = max(_SHORTEST_PAUSE_SECONDS, self.settings.upload_seconds / _SWEEPS_A_LIFETIME)
        while True:
            await asyncio.sleep(pause)
            with contextlib.suppress(PortalError):  # a failing disk is told to who writes
                await asyncio.to_thread(self.contents.sweep)
