"""A handler of streams that no stranger can hold on to."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from .limits import MAX_STREAMS_PER_PEER, STREAM_SECONDS

log = logging.getLogger(__name__)

Handler = Callable[[Any], Awaitable[None]]
"""What answers a stream of libp2p's."""


class Guarded:
    """A handler with so many streams at once, few of one peer, and none for long.

    Whatever a handler raises is its stream's end, not the process's.
    """

    def __init__(
        self,
        handler: Handler,
        most: int,
        most_per_peer: int = MAX_STREAMS_PER_PEER,
        seconds: float = STREAM_SECONDS,
    ) -> None:
        self._handler = handler
        self._most = most
        self._most_per_peer = most_per_peer
        self._seconds = seconds
        self._open: Counter[str] = Counter()

    async def __call__(self, stream: Any) -> None:
        peer = str(stream.muxed_conn.peer_id)
        if self._open.total() >= self._most or self._open[peer] >= self._most_per_peer:
            await _reset(stream)
            return
        self._open[peer] += 1
        try:
            with trio.move_on_after(self._seconds) as scope:
                await self._handler(stream)
            if scope.cancelled_caught:
                await _reset(stream)
        except Exception as error:
            log.debug("a stream of %s: %r", peer, error)
            await _reset(stream)
        finally:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]


async def _reset(stream: Any) -> None:
    with trio.move_on_after(1), contextlib.suppress(Exception):
        await stream.reset()
