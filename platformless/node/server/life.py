"""Whether a connection has life: a session within a minute, and something said now and then.

What counts are messages of either side but `ping` and `pong`, and an answer that is under way.
WebSocket pings say that a machine is there, not that somebody wants something of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

BEGIN_SECONDS = 60.0
"""In which a connection must begin a session."""
_GOING_AWAY = 1001
_POLICY = 1008


@dataclass(frozen=True, slots=True)
class LifeEnd:
    """How a connection is closed."""

    code: int
    reason: str


class Life:
    """Of one connection.

    Args:
        idle_seconds: After which a connection on which nothing is said is over.
        is_at_work: Whether an answer is under way.
        begin_seconds: In which a session must be begun.
    """

    def __init__(
        self,
        idle_seconds: float,
        is_at_work: Callable[[], bool],
        begin_seconds: float = BEGIN_SECONDS,
    ) -> None:
        self._idle_seconds = idle_seconds
        self._is_at_work = is_at_work
        self._begin_seconds = begin_seconds
        self._clock = asyncio.get_running_loop().time
        self._made_at = self._said_at = self._clock()
        self._has_begun = False

    def began(self) -> None:
        """A session was begun."""
        self._has_begun = True

    def goes_on(self) -> None:
        """Something was said."""
        self._said_at = self._clock()

    async def end(self) -> LifeEnd:
        """Returns when the connection is to be closed."""
        while True:
            now = self._clock()
            if self._is_at_work():
                self._said_at = now
            idle_at = self._said_at + self._idle_seconds
            begin_at = self._made_at + self._begin_seconds
            if now >= idle_at:
                return LifeEnd(_GOING_AWAY, f"nothing was said for {self._idle_seconds:g} s")
            if not self._has_begun and now >= begin_at:
                return LifeEnd(_POLICY, f"no session was begun within {self._begin_seconds:g} s")
            due_at = idle_at if self._has_begun else min(idle_at, begin_at)
            await asyncio.sleep(due_at - now)
