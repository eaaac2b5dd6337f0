"""When to ask again: how long to rest after a failure, and what a server asks for itself."""

from __future__ import annotations

import email.utils
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LONGEST_REST_ASKED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Rests that double from `first_seconds` up to `longest_seconds`, less a random part.

    The random part (up to a half) keeps many clients from coming back at the same moment.
    """

    first_seconds: float = 0.2
    longest_seconds: float = 15.0

    def rest_seconds(self, failures: int, *, chance: Callable[[], float] = random.random) -> float:
        """The rest after the `failures`-th failure in a row, counted from 1."""
        doubled = self.first_seconds * 2.0 ** min(max(failures - 1, 0), 32)
        return min(doubled, self.longest_seconds) * (0.5 + chance() / 2)


def rest_asked(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header (RFC 9110, 10.2.3), from 0 to a minute.

    None when there is no such header or it says neither seconds nor a date. `headers` must find
    names in lower case.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_REST_ASKED_SECONDS)
