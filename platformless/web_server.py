"""An ASGI application served over HTTP within a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

from .web_connections import LARGEST_HEAD_BYTES, Attendant, HttpConnection, Patience

_STOP_SECONDS = 10
_BACKLOG = 256


class WebServer:
    """Serves from `async with` until its end. Signals are left to the program around it.

    Args:
        port: 0: a free one; see `url`.
        send_buffer_bytes: Of each connection, in the kernel; None: the system's choice. What is
            in it counts as sent: small where that is billed.
        listening: A socket that is bound already, in place of host and port.
        patience: How long clients are waited for.
        options: More of uvicorn's.

    Raises, at `async with`:
        OSError: when it cannot listen there.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        send_buffer_bytes: int | None = None,
        listening: socket.socket | None = None,
        patience: Patience | None = None,
        **options: Any,
    ) -> None:
        self._host = host
        self._port = port
        self._send_buffer_bytes = send_buffer_bytes
        self._listening = listening
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_SECONDS,
                http=HttpConnection,
                h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
                proxy_headers=False,  # whom a header may speak for is the application's to say
                **options,
            )
        )
        self._attendant = Attendant(self._server.server_state.connections, patience or Patience())

    async def __aenter__(self) -> Self:
        self._socket = self._listening or _listen(self._host, self._port, self._send_buffer_bytes)
        if self._socket.family != socket.AF_UNIX:
            self._port = self._socket.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        starting = asyncio.create_task(self._server.is_up.wait())
        await asyncio.wait({starting, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            starting.cancel()
            self._socket.close()
            self._serving.result()
        self._attending = asyncio.create_task(self._attendant.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        try:
            await self._serving
        finally:
            self._attending.cancel()
            self._socket.close()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"


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


def _listen(host: str, port: int, send_buffer_bytes: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OverflowError as error:
        raise OSError(f"no such port: {port}") from error
    # Connections inherit these. Without the first, short answers wait for the client's delayed ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if send_buffer_bytes is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    return listening
