"""Readings of the machine, taken by a thread of their own: who asks for them never waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ...closing import AsyncClosing

log = logging.getLogger(__name__)
_Reading = TypeVar("_Reading")


class Sampled(AsyncClosing, Generic[_Reading]):
    """Reads every `seconds`. A driver that hangs holds up its thread and nothing else.

    Args:
        open_source: Called once in the thread; gives what is called for each reading.
        stale_seconds: A reading is told for so long, unless a newer one is there.
    """

    def __init__(
        self,
        name: str,
        open_source: Callable[[], Callable[[], _Reading]],
        seconds: float,
        stale_seconds: float,
    ) -> None:
        self._name = name
        self._open = open_source
        self._seconds = seconds
        self._stale_seconds = stale_seconds
        self._newest: tuple[float, _Reading] | None = None
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"platformless-{name}", daemon=True)
        self._thread.start()

    def newest(self) -> _Reading | None:
        """None before the first reading, and when the newest is too old to be told."""
        newest = self._newest
        if newest is None or time.monotonic() - newest[0] > self._stale_seconds:
            return None
        return newest[1]

    async def close(self) -> None:
        """Asks the thread to end; does not wait for it."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            read = self._open()
        except Exception:
            log.warning("%s: not to be read", self._name, exc_info=True)
            return
        while True:
            try:
                self._newest = time.monotonic(), read()
                self._failing = False
            except Exception:
                if not self._failing:
                    log.warning("%s: not to be read now", self._name, exc_info=True)
                self._failing = True
            if self._stopping.wait(self._seconds):
                return
