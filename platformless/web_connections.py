"""Connections of a web server that do not wait for a client for ever.

uvicorn limits neither the time that a request's head takes, nor how long what it has written may
stay unread, nor how long a connection that it closed waits for its client to read the rest. Here
each has its time. The server looks at all connections once a second (`Attendant`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LARGEST_HEAD_BYTES = 16 << 10
"""Of a request's first line and headers."""
MOST_WAITING_BYTES = 8 << 10
"""From here on a sender waits. What is in the buffer counts as sent: small where that is billed."""
_LOOK_SECONDS = 1.0
_SLOWEST_BYTES_A_SECOND = 1024
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client is waited for, in seconds."""

    head_seconds: float = 10.0
    """For the whole head of a request, from the connection's begin or the answer before."""
    unread_seconds: float = 60.0
    """For a client of HTTP that reads less than a kilobyte a second while more waits for it."""
    closing_seconds: float = 30.0
    """The same for any client, once its connection is closed."""


@runtime_checkable
class Impatient(Protocol):
    """A connection that knows when its client was waited for long enough."""

    def is_overdue(self, now: float, patience: Patience) -> bool:
        """Whether it is to be closed.

        Args:
            now: The event loop's time, in seconds.
        """

    def end_overdue(self) -> None:
        """Closes it."""


class HttpConnection(H11Protocol):
    """A connection of HTTP/1.1."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._idle_since = self.loop.time()
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=MOST_WAITING_BYTES)

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def is_overdue(self, now: float, patience: Patience) -> bool:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        return not is_answering and now - self._idle_since >= patience.head_seconds

    def end_overdue(self) -> None:
        """Closes the connection. Where part of a head came, it is told why."""
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(_TIMED_OUT)
        self.transport.close()


@dataclass(frozen=True, slots=True)
class _Unread:
    """What waits for a client, and since when it reads too slowly."""

    since: float
    waiting_bytes: int

    def later(self, now: float, waiting_bytes: int) -> _Unread:
        read = self.waiting_bytes - waiting_bytes
        if read > 0 and read >= _SLOWEST_BYTES_A_SECOND * (now - self.since):
            return _Unread(now, waiting_bytes)
        return _Unread(self.since, max(self.waiting_bytes, waiting_bytes))


class Attendant:
    """Looks after a server's connections.

    Args:
        connections: The server's own set, as it changes.
    """

    def __init__(self, connections: Iterable[object], patience: Patience) -> None:
        self._connections = connections
        self._patience = patience
        self._unread: dict[asyncio.Transport, _Unread] = {}

    async def run(self) -> None:
        """Rounds, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look(loop.time())

    def look(self, now: float) -> None:
        """Closes what is overdue, and cuts off what is not read."""
        patience, unread = self._patience, self._unread
        self._unread = {}
        for connection in list(self._connections):
            transport: asyncio.Transport = connection.transport  # type: ignore[attr-defined]
            is_closing, waiting_bytes = transport.is_closing(), transport.get_write_buffer_size()
            if is_closing or (waiting_bytes and isinstance(connection, HttpConnection)):
                known = unread.get(transport) or _Unread(now, waiting_bytes)
                self._unread[transport] = known = known.later(now, waiting_bytes)
                most = patience.closing_seconds if is_closing else patience.unread_seconds
                if now - known.since >= most:
                    transport.abort()
                    continue
            if (
                not is_closing
                and isinstance(connection, Impatient)
                and connection.is_overdue(now, patience)
            ):
                connection.end_overdue()
