"""Memory for files that are held at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """Memory for files: who wants more than there is waits, in turn."""

    def __init__(self, total_bytes: int) -> None:
        self._total = self._left = total_bytes
        self._turn = asyncio.Lock()
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def for_bytes(self, size: int, largest: int) -> AsyncIterator[None]:
        """Room for a file of `size` bytes; one that will be refused for its size needs none."""
        wanted = 0 if size > largest else min(size, self._total)
        async with self._turn, self._changed:
            await self._changed.wait_for(lambda: self._left >= wanted)
            self._left -= wanted
        try:
            yield
        finally:
            async with self._changed:
                self._left += wanted
                self._changed.notify_all()
