"""Session keys: the first client binds, keys end, nothing is taken twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.node.errors import (
    ForeignClient,
    ReplayedFrame,
    SessionKeyMissing,
    TooManyFrames,
    TooManySessions,
)
from platformless.node.sessions.keys import KeyLimits, SessionKeys
from platformless.protocol import envelope
from platformless.protocol.envelope import EncryptedInit, SessionInit
from platformless.protocol.secrecy import PublicKeyBytes

HOST_KEY, CLIENT_KEY, STRANGER_KEY = b"\x07" * 32, b"\x08" * 32, b"\x09" * 32
TTL = 60.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> SessionKeys:
    return SessionKeys(clock, KeyLimits(seconds=TTL, sessions=3, frames=4))


def init(
    number: int = 1, *, job: int = 7, client: bytes = CLIENT_KEY, recovery: bool = True
) -> tuple[EncryptedInit, SessionInit]:
    """An init as a client makes it and the host opens it; `number` makes it a fresh one."""
    fields = {"jobId": str(job), "modelName": "m", "sessionKey": f"{number:064x}"}
    if recovery:
        fields["recoveryPublicKey"] = str(PublicKeyBytes.of(CLIENT_KEY))
    frame = envelope.seal_init(
        fields,
        PublicKeyBytes.of(HOST_KEY),
        client,
        ephemeral=number.to_bytes(32, "big"),
        nonce=number.to_bytes(24, "big"),
    )
    return frame, envelope.open_init(frame, HOST_KEY)


def test_an_init_gives_a_session_its_key(keys: SessionKeys) -> None:
    frame, opened = init()
    keys.begin(frame, opened)
    assert keys.key(7) == opened.session_key
    assert keys.client(7) == opened.client_key_address
    assert keys.recovery_key(7) == PublicKeyBytes.of(CLIENT_KEY)


def test_a_new_init_changes_the_key_and_keeps_the_client(keys: SessionKeys) -> None:
    keys.begin(*init(1))
    keys.take_nonce(7, b"n")
    keys.begin(*init(2, recovery=False))
    assert keys.key(7) == (2).to_bytes(32, "big")
    assert keys.recovery_key(7) is not None
    keys.take_nonce(7, b"n")


def test_another_client_cannot_take_a_session_over(keys: SessionKeys, clock: Clock) -> None:
    keys.begin(*init(1))
    with pytest.raises(ForeignClient):
        keys.begin(*init(2, client=STRANGER_KEY))
    assert keys.key(7) == (1).to_bytes(32, "big")
    clock.now += 2 * TTL
    keys.sweep()
    with pytest.raises(ForeignClient):
        keys.begin(*init(3, client=STRANGER_KEY))


def test_an_init_is_taken_once(keys: SessionKeys, clock: Clock) -> None:
    keys.begin(*init(1))
    keys.begin(*init(2))
    clock.now += 2 * TTL
    for number in (1, 2):
        with pytest.raises(ReplayedFrame):
            keys.begin(*init(number))


def test_a_message_is_taken_once(keys: SessionKeys) -> None:
    keys.begin(*init())
    keys.take_nonce(7, b"a")
    with pytest.raises(ReplayedFrame):
        keys.take_nonce(7, b"a")
    keys.take_nonce(7, b"b")


def test_a_key_ends_with_its_time(keys: SessionKeys, clock: Clock) -> None:
    keys.begin(*init())
    clock.now += TTL - 1
    assert keys.key(7)
    clock.now += 1
    with pytest.raises(SessionKeyMissing):
        keys.key(7)
    assert keys.recovery_key(7) == PublicKeyBytes.of(CLIENT_KEY)
    with pytest.raises(SessionKeyMissing):
        keys.take_nonce(7, b"a")
    assert keys.sweep() == 1
    assert keys.sweep() == 0
    keys.begin(*init(2))
    assert keys.key(7) == (2).to_bytes(32, "big")


def test_an_ended_session_remembers_what_it_has_seen(keys: SessionKeys) -> None:
    keys.begin(*init())
    keys.end(7)
    with pytest.raises(SessionKeyMissing):
        keys.key(7)
    with pytest.raises(ReplayedFrame):
        keys.begin(*init())
    with pytest.raises(ForeignClient):
        keys.begin(*init(2, client=STRANGER_KEY))
    keys.forget(7)
    keys.forget(7)
    assert len(keys) == 0
    for ask in (keys.client, keys.recovery_key):
        with pytest.raises(SessionKeyMissing):
            ask(7)


def test_a_depositor_takes_over_what_a_stranger_bound(keys: SessionKeys) -> None:
    keys.begin(*init(1, client=STRANGER_KEY))
    frame, opened = init(2)
    keys.begin(frame, opened, proven_depositor=True)
    assert keys.client(7) == opened.client_key_address
    with pytest.raises(ForeignClient):
        keys.begin(*init(3, client=STRANGER_KEY))


def test_the_limits_are_kept(keys: SessionKeys, clock: Clock) -> None:
    for job in (1, 2, 3):
        keys.begin(*init(job, job=job))
    with pytest.raises(TooManySessions):
        keys.begin(*init(4, job=4))
    clock.now += TTL
    keys.begin(*init(5, job=4))
    assert len(keys) == 1
    for number in range(4):
        keys.take_nonce(4, bytes([number]))
    with pytest.raises(TooManyFrames):
        keys.take_nonce(4, b"x")
    for number in (6, 7, 8):
        keys.begin(*init(number, job=4))
    with pytest.raises(TooManyFrames):
        keys.begin(*init(9, job=4))


def test_a_key_is_overwritten_when_it_is_no_longer_needed(keys: SessionKeys) -> None:
    frame, opened = init()
    keys.begin(frame, opened)
    held = keys._bindings[7].key
    keys.begin(*init(2))
    assert held == bytes(32)
    assert replace(opened).session_key != bytes(32)
