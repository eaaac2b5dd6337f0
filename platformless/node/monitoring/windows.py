"""What was seen in the last minutes: values with their times, the old ones forgotten."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

Clock = Callable[[], float]
"""Seconds of any clock that does not go back."""


class Window:
    """Values of the last `seconds`, at most `most` of them.

    Args:
        clock: For tests; `time.monotonic` otherwise.
    """

    def __init__(self, seconds: float, most: int = 4096, clock: Clock = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began: float | None = None
        self._seen: deque[tuple[float, float]] = deque(maxlen=most)

    def add(self, value: float) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now
        self._seen.append((now, value))

    def values(self) -> list[float]:
        """The oldest first."""
        oldest = self._clock() - self._seconds
        while self._seen and self._seen[0][0] < oldest:
            self._seen.popleft()
        return [value for _, value in self._seen]

    def mean(self) -> float | None:
        """None when nothing was seen."""
        values = self.values()
        return sum(values) / len(values) if values else None

    @property
    def observed_seconds(self) -> float:
        """How much of the time has been looked at: the window's length once it has been filled."""
        if self._began is None:
            return 0.0
        return min(self._clock() - self._began, self._seconds)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed (nearest rank); 0 of
    none."""
    if not values:
        return 0.0
    rank = max(1, math.ceil(share * len(values)))
    return sorted(values)[rank - 1]
