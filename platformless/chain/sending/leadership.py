"""One process of a machine at a time keeps an account's outbox.

The lock is the kernel's (flock): it is free again as soon as its process is dead.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Leadership:
    """A lock file, held or not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Whether this process leads; tries to, without waiting."""
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
