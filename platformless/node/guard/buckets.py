"""Token buckets: how much anyone may do at once, and in the long run.

A bucket is the moment at which it is full again, in nanoseconds of a clock that does not go back;
one that is full is no different from none. A table of buckets takes bounded memory and never gives
anyone more for it:

* The keys used last have buckets of their own. The key that was silent for longest makes room.
* If its bucket is not full by then, what it owes is noted under a hash of the key, in a table of
  fixed size, and whoever comes under that hash next begins with it. So nobody gets a full bucket by
  having it pushed out, with however many keys.
* The price: a stranger whose hash is the same begins with the debt of another. The hash is keyed
  with a secret of this process, so that nobody chooses whom; and a debt is over after the time in
  which a bucket fills, seconds in a node. To reach one stranger in a hundred, an attacker needs
  some 655 keys beyond those that the table holds, all of them used within that time.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_NS = 1_000_000_000
_DEBTS = 1 << 16
MOST_KEYS = 100_000
Clock = Callable[[], float]
"""Seconds, of any clock that does not go back."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one bucket gives."""

    per_second: float
    """In the long run; more than 0."""
    burst: int
    """At once, after a quiet time; at least 1."""

    @property
    def each_ns(self) -> int:
        """Time in which the bucket earns one."""
        return max(1, round(_NS / self.per_second))

    def take(self, full_at: int, now: int) -> tuple[int, int]:
        """Takes one from a bucket. Pure.

        Args:
            full_at: When the bucket is full again.
            now: The same clock, nanoseconds.

        Returns:
            When it is full again, and 0; or what `full_at` was, and after how many nanoseconds
            there is one.
        """
        begin = max(full_at, now)
        wait = begin - now - (self.burst - 1) * self.each_ns
        return (full_at, wait) if wait > 0 else (begin + self.each_ns, 0)


class Bucket:
    """One bucket.

    Args:
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(self, limit: Limit, clock: Clock = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._full_at = 0

    def take(self) -> float:
        """Takes one: 0.0. Or the seconds after which there is one."""
        self._full_at, wait = self._limit.take(self._full_at, _ns(self._clock()))
        return wait / _NS


class Buckets:
    """A bucket for each key, in bounded memory.

    Args:
        most_keys: Buckets of their own; 100,000 take 20 MB.
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(
        self, limit: Limit, most_keys: int = MOST_KEYS, clock: Clock = time.monotonic
    ) -> None:
        self.limit = limit
        self._most_keys = most_keys
        self._clock = clock
        self._secret = secrets.token_bytes(16)
        self._full_at: OrderedDict[bytes, int] = OrderedDict()
        self._debts = array("q", bytes(8 * _DEBTS))

    def __len__(self) -> int:
        """Keys with a bucket of their own."""
        return len(self._full_at)

    def take(self, key: bytes) -> float:
        """Takes one from a key's bucket: 0.0. Or the seconds after which there is one."""
        now = _ns(self._clock())
        known = self._full_at.get(key)
        full_at = self._debts[self._place(key)] if known is None else known
        full_at, wait = self.limit.take(full_at, now)
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        self._make_room(now)
        return wait / _NS

    def _make_room(self, now: int) -> None:
        """Drops a full bucket or two, so that a quiet table empties; and one that is not full when
        there are too many."""
        for _ in range(2):
            key, full_at = next(iter(self._full_at.items()))
            if full_at > now:
                break
            del self._full_at[key]
            if not self._full_at:
                return
        if len(self._full_at) > self._most_keys:
            key, full_at = self._full_at.popitem(last=False)
            place = self._place(key)
            self._debts[place] = max(self._debts[place], full_at)

    def _place(self, key: bytes) -> int:
        digest = hashlib.blake2b(key, key=self._secret, digest_size=4).digest()
        return int.from_bytes(digest) % _DEBTS


def _ns(seconds: float) -> int:
    return math.floor(seconds * _NS)
