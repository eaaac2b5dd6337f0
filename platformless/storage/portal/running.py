"""The embedded portal as a running server, in the event loop of whoever starts it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import uvicorn

from .contents import Contents
from .errors import PortalError, PortUnavailable
from .settings import PortalSettings
from .web.app import portal_app

_STOP_SECONDS = 10
_BACKLOG = 256
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
        self._socket = _listen(self._host, self._port)
        self._port = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                portal_app(self.contents),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        self._sweeping = asyncio.create_task(self._sweep_now_and_then())
        starting = asyncio.create_task(self._server.is_up.wait())
        await asyncio.wait({starting, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            starting.cancel()
            self._sweeping.cancel()
            self._socket.close()
            self._serving.result()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sweeping.cancel()
        self._server.should_exit = True
        await self._serving
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeping
        self._socket.close()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def _sweep_now_and_then(self) -> None:
        pause = max(_SHORTEST_PAUSE_SECONDS, self.settings.upload_seconds / _SWEEPS_A_LIFETIME)
        while True:
            await asyncio.sleep(pause)
            with contextlib.suppress(PortalError):  # a failing disk is told to who writes
                await asyncio.to_thread(self.contents.sweep)


class _Server(uvicorn.Server):
    """A server that says when it is up, and leaves signals to the program around it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise PortUnavailable(
            f"cannot listen on {host}, port {port}", got=getattr(error, "strerror", None) or error
        ) from error
    # Connections inherit this; without it, short answers wait for the client's delayed ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
