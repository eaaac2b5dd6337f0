"""Session keys: who may speak in a session, with which key, for how long.

The first client whose init is accepted binds the session: later inits must be signed by the same
encryption key. A new init changes the key. Keys end after their time to live and are overwritten;
Python may have copied them before, so this shortens their life and does not end it for certain.
Frames that were seen before are refused. Times are seconds of any clock that does not go back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from ...protocol.digests import Address
from ...protocol.envelope import EncryptedInit, SessionInit
from ...protocol.secrecy import PublicKeyBytes
from ..errors import (
    ForeignClient,
    ReplayedFrame,
    SessionKeyMissing,
    TooManyFrames,
    TooManySessions,
)

_MARK_BYTES = 16


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How long and how many."""

    seconds: float = 3600.0
    """From the last init on."""
    sessions: int = 10_000
    frames: int = 100_000
    """Inits of a session, and messages under one key, that are remembered against replay."""


@dataclass(slots=True)
class _Binding:
    client: Address
    recovery_key: PublicKeyBytes | None
    key: bytearray = field(repr=False)
    expires: float
    inits: set[bytes] = field(default_factory=set)
    nonces: set[bytes] = field(default_factory=set)

    def wipe(self) -> None:
        self.key[:] = bytes(len(self.key))


class SessionKeys:
    """The keys of a node's sessions.

    Args:
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(self, clock: Callable[[], float], limits: KeyLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or KeyLimits()
        self._bindings: dict[int, _Binding] = {}

    def __len__(self) -> int:
        return len(self._bindings)

    def begin(
        self, frame: EncryptedInit, init: SessionInit, *, proven_depositor: bool = False
    ) -> None:
        """Takes the key of an accepted init.

        Args:
            proven_depositor: The client has shown with its wallet that it is the session's
                depositor: it takes over what a stranger may have bound.

        Raises:
            ReplayedFrame: when the same init was taken before.
            ForeignClient: when another client's key bound the session.
            TooManySessions, TooManyFrames: when the limits are reached.
        """
        now = self._clock()
        mark = _mark(frame.ephemeral_key.value + frame.encrypted.nonce)
        binding = self._bindings.get(init.job_id)
        if binding is None:
            self._make_room(now)
            binding = _Binding(init.client_key_address, init.recovery_key, bytearray(), 0.0)
        elif binding.client != init.client_key_address and proven_depositor:
            binding.client, binding.recovery_key = init.client_key_address, init.recovery_key
        elif binding.client != init.client_key_address:
            raise ForeignClient(
                f"session {init.job_id} belongs to another client",
                expected=f"an init signed by {binding.client}",
                got=init.client_key_address,
            )
        if mark in binding.inits:
            raise ReplayedFrame("this init was used before", expected="a fresh ephemeral key")
        if len(binding.inits) >= self._limits.frames:
            raise TooManyFrames(
                f"session {init.job_id} began too often", expected=f"{self._limits.frames} inits"
            )
        binding.wipe()
        binding.key = bytearray(init.session_key)
        binding.expires = now + self._limits.seconds
        binding.recovery_key = init.recovery_key or binding.recovery_key
        binding.inits.add(mark)
        binding.nonces.clear()
        self._bindings[init.job_id] = binding

    def key(self, session_id: int) -> bytes:
        """Raises:
        SessionKeyMissing: when there is none, or its time is over.
        """
        return bytes(self._alive(session_id).key)

    def client(self, session_id: int) -> Address:
        """Whose init bound the session, also when its key's time is over.

        Raises:
            SessionKeyMissing: when nobody did.
        """
        return self._bound(session_id).client

    def recovery_key(self, session_id: int) -> PublicKeyBytes | None:
        """For whom deltas are sealed; with `client`'s errors."""
        return self._bound(session_id).recovery_key

    def take_nonce(self, session_id: int, nonce: bytes) -> None:
        """Notes the nonce of a message that was opened.

        Raises:
            ReplayedFrame: when it was seen under this key.
            TooManyFrames: when the client should begin anew.
            SessionKeyMissing: as `key`.
        """
        binding = self._alive(session_id)
        if nonce in binding.nonces:
            raise ReplayedFrame("this message was sent before", expected="a fresh nonce")
        if len(binding.nonces) >= self._limits.frames:
            raise TooManyFrames(
                "too many messages under one key", expected=f"{self._limits.frames} messages"
            )
        binding.nonces.add(nonce)

    def end(self, session_id: int) -> None:
        """Overwrites a session's key. What was seen stays known, so that nothing is taken twice
        while the job can still be billed."""
        binding = self._bindings.get(session_id)
        if binding is not None:
            binding.wipe()
            binding.key = bytearray()

    def forget(self, session_id: int) -> None:
        """Forgets a session whose job is over on chain."""
        binding = self._bindings.pop(session_id, None)
        if binding is not None:
            binding.wipe()

    def sweep(self) -> int:
        """Overwrites the keys whose time is over; their sessions stay bound to their clients.
        Returns how many."""
        now = self._clock()
        over = [one for one in self._bindings.values() if one.key and one.expires <= now]
        for binding in over:
            binding.wipe()
            binding.key = bytearray()
        return len(over)

    def _bound(self, session_id: int) -> _Binding:
        binding = self._bindings.get(session_id)
        if binding is None:
            raise SessionKeyMissing(f"session {session_id} was never begun", expected="an init")
        return binding

    def _alive(self, session_id: int) -> _Binding:
        binding = self._bindings.get(session_id)
        if binding is None or not binding.key or binding.expires <= self._clock():
            raise SessionKeyMissing(
                f"no key for session {session_id}",
                expected=f"an init within the last {self._limits.seconds:g} s",
            )
        return binding

    def _make_room(self, now: float) -> None:
        """A session without a living key may be forgotten when there are too many: its client
        binds it again."""
        if len(self._bindings) < self._limits.sessions:
            return
        for session_id, binding in list(self._bindings.items()):
            if binding.expires <= now:
                self.forget(session_id)
        if len(self._bindings) >= self._limits.sessions:
            raise TooManySessions("too many sessions", expected=f"at most {self._limits.sessions}")


def _mark(data: bytes) -> bytes:
    """Enough of a hash to recognise what was seen."""
    return hashlib.sha256(data).digest()[:_MARK_BYTES]
