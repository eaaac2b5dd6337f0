"""A question whose answer is kept for a while: the longer, the more it costs to ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")

REST = 20
"""A question that took a second is not asked again for twenty: at most a twentieth of the time
goes into it, however large the ledger is."""


class Paced(Generic[_Answer]):
    """Asks at most every `keep_seconds`. Who asks while it is being asked waits for that answer.

    Args:
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[_Answer]],
        keep_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._asking = asyncio.Lock()
        self._known: tuple[_Answer, float] | None = None

    async def answer(self) -> _Answer:
        """The newest answer. Raises what asking raises; that is not kept."""
        async with self._asking:
            began = self._clock()
            if self._known is None or began >= self._known[1]:
                found = await self._ask()
                now = self._clock()
                self._known = found, now + max(self._keep_seconds, REST * (now - began))
            return self._known[0]
