"""Session keys: with which key a session's client speaks, and for how long.

A new init changes the key. Keys end after their time to live and are overwritten; Python may have
copied them before, so this shortens their life and does not end it for certain. A message that was
seen under a key is refused. Times are seconds of any clock that does not go back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import ReplayedFrame, SessionKeyMissing, TooManyFrames, TooManySessions


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How long and how many."""

    seconds: float = 3600.0
    """From the last init on."""
    sessions: int = 10_000
    frames: int = 100_000
    """Messages under one key, that are remembered against replay."""


@dataclass(slots=True)
class _Key:
    value: bytearray = field(repr=False)
    expires: float
    nonces: set[bytes] = field(default_factory=set)

    def wipe(self) -> None:
        self.value[:] = bytes(len(self.value))


class SessionKeys:
    """The keys of a node's sessions.

    Args:
        clock: Seconds; `time.monotonic`, or a test's.
    """

    def __init__(self, clock: Callable[[], float], limits: KeyLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or KeyLimits()
        self._keys: dict[int, _Key] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def set(self, session_id: int, key: bytes) -> None:
        """The session's key from now on; the one before is overwritten.

        Raises:
            TooManySessions: when the limit is reached.
        """
        self.end(session_id)
        if len(self._keys) >= self._limits.sessions:
            self.sweep()
        if len(self._keys) >= self._limits.sessions:
            raise TooManySessions("too many sessions", expected=f"at most {self._limits.sessions}")
        self._keys[session_id] = _Key(bytearray(key), self._clock() + self._limits.seconds)

    def key(self, session_id: int) -> bytes:
        """Raises:
        SessionKeyMissing: when there is none, or its time is over.
        """
        return bytes(self._alive(session_id).value)

    def take_nonce(self, session_id: int, nonce: bytes) -> None:
        """Notes the nonce of a message that was opened.

        Raises:
            ReplayedFrame: when it was seen under this key.
            TooManyFrames: when the client should begin anew.
            SessionKeyMissing: as `key`.
        """
        nonces = self._alive(session_id).nonces
        if nonce in nonces:
            raise ReplayedFrame("this message was sent before", expected="a fresh nonce")
        if len(nonces) >= self._limits.frames:
            raise TooManyFrames(
                "too many messages under one key", expected=f"{self._limits.frames} messages"
            )
        nonces.add(nonce)

    def end(self, session_id: int) -> None:
        """Overwrites a session's key."""
        found = self._keys.pop(session_id, None)
        if found is not None:
            found.wipe()

    def sweep(self) -> int:
        """Overwrites the keys whose time is over. Returns how many."""
        now = self._clock()
        over = [number for number, key in self._keys.items() if key.expires <= now]
        for number in over:
            self.end(number)
        return len(over)

    def _alive(self, session_id: int) -> _Key:
        found = self._keys.get(session_id)
        if found is None or found.expires <= self._clock():
            raise SessionKeyMissing(
                f"no key for session {session_id}",
                expected=f"an init within the last {self._limits.seconds:g} s",
            )
        return found
