"""How many bytes a portal holds, against its quota.

Counted are blobs, the announced lengths of unfinished uploads, and bytes being received. The sum
is kept in memory and counted anew from the disk at the start and before something is refused: with
several processes on one folder, each may overrun the quota by what the others have just stored.

Counting takes long in a large folder, and whoever sends too much would have it done each time. So
it is done by one thread at a time, seldom, and nobody waits for it; meanwhile the sum known so far
decides.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from .errors import QuotaExceeded

_COUNTS = 2
_COUNTS_SECONDS = 5.0
"""The folder is counted at most `_COUNTS` times in so long, …"""
_REST_FACTOR = 10
"""… or in so many times what the last count took."""


class Space:
    """Args:
    quota_bytes: None: no limit.
    count_kept: Counts the bytes on disk: blobs and announced uploads. Slow.
    """

    def __init__(self, quota_bytes: int | None, count_kept: Callable[[], int]) -> None:
        self.quota_bytes = quota_bytes
        self._count_kept = count_kept
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._counted_at: deque[float] = deque(maxlen=_COUNTS)
        self._count_seconds = 0.0
        self._kept = count_kept()
        self._kept_meanwhile = 0
        """Bytes kept since the last count began."""
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
        if self._has_taken(size):
            return
        self._count_anew()
        if not self._has_taken(size):
            raise QuotaExceeded(
                "the portal is full",
                expected=f"at most {self.quota_bytes} bytes",
                got=f"{self.used_bytes + size} bytes",
            )

    def give_back(self, size: int) -> None:
        """Bytes taken before were not kept."""
        with self._lock:
            self._receiving -= size

    def keep(self, size: int) -> None:
        """Bytes taken before are on disk now."""
        with self._lock:
            self._receiving -= size
            self._kept += size
            self._kept_meanwhile += size

    def drop(self, size: int) -> None:
        """Bytes kept before are gone from the disk."""
        with self._lock:
            self._kept = max(0, self._kept - size)

    def _has_taken(self, size: int) -> bool:
        """Takes the room, if there is some."""
        with self._lock:
            if (
                self.quota_bytes is not None
                and self._kept + self._receiving + size > self.quota_bytes
            ):
                return False
            self._receiving += size
            return True

    def _count_anew(self) -> None:
        """Unless it is being done, or was done too often. What is kept meanwhile is added, though
        the count may have seen it: the sum is rather too large, until the next count."""
        if not self._counting.acquire(blocking=False):
            return
        try:
            began = time.monotonic()
            rest = max(_COUNTS_SECONDS, _REST_FACTOR * self._count_seconds)
            if len(self._counted_at) == _COUNTS and began - self._counted_at[0] < rest:
                return
            with self._lock:
                self._kept_meanwhile = 0
            counted = self._count_kept()
            with self._lock:
                self._kept = counted + self._kept_meanwhile
            ended = time.monotonic()
            self._counted_at.append(ended)
            self._count_seconds = ended - began
        finally:
            self._counting.release()
