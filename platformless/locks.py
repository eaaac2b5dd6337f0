"""A lock between the processes of one machine.

It is the kernel's (flock): it is free again as soon as the process that holds it is dead.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_BETWEEN_TRIES_SECONDS = 0.02


class LockBusy(TimeoutError):
    """Somebody else held the lock all the time."""


class FileLock:
    """A lock on a file, which is made when it does not exist. Two of them on one file exclude each
    other, also within a process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Whether this lock is held; tries to take it, without waiting."""
        if self._handle is not None:
            return True
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    @asynccontextmanager
    async def held(self, seconds: float) -> AsyncIterator[None]:
        """Holds the lock for a block of code.

        Raises:
            LockBusy: when it is not free within `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self.take():
                    await asyncio.sleep(_BETWEEN_TRIES_SECONDS)
        except TimeoutError:
            raise LockBusy(str(self._path)) from None
        try:
            yield
        finally:
            self.release()
