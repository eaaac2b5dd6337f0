"""How many bytes a portal holds, against its quota.

Counted are blobs, the announced lengths of unfinished uploads, and bytes being received. The sum
is kept in memory and counted anew from the disk at the start and before anything is refused: with
several processes on one folder, each may overrun the quota by what the others have just stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .errors import QuotaExceeded


class Space:
    """Args:
    quota_bytes: None: no limit.
    count_kept: Counts the bytes on disk: blobs and announced uploads. Slow.
    """

    def __init__(self, quota_bytes: int | None, count_kept: Callable[[], int]) -> None:
        self.quota_bytes = quota_bytes
        self._count_kept = count_kept
        self._lock = threading.Lock()
        self._kept = count_kept()
        self._receiving = 0

    @property
    def used_bytes(self) -> int:
        with self._lock:
            return self._kept + self._receiving

    def take(self, size: int) -> None:
        """Takes room for bytes that are about to be received.

        Raises:
            QuotaExceeded
        """
        with self._lock:
            if self.quota_bytes is not None and self._after(size) > self.quota_bytes:
                self._kept = self._count_kept()
                if self._after(size) > self.quota_bytes:
                    raise QuotaExceeded(
                        "the portal is full",
                        expected=f"at most {self.quota_bytes} bytes",
                        got=f"{self._after(size)} bytes",
                    )
            self._receiving += size

    def give_back(self, size: int) -> None:
        """Bytes taken before were not kept."""
        with self._lock:
            self._receiving -= size

    def keep(self, size: int) -> None:
        """Bytes taken before are on disk now."""
        with self._lock:
            self._receiving -= size
            self._kept += size

    def drop(self, size: int) -> None:
        """Bytes kept before are gone from the disk."""
        with self._lock:
            self._kept = max(0, self._kept - size)

    def _after(self, size: int) -> int:
        return self._kept + self._receiving + size
