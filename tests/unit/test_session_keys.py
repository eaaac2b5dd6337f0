"""Session keys: they change, they end, nothing is taken twice under one."""

from __future__ import annotations

import pytest

from platformless.node.errors import (
    ReplayedFrame,
    SessionKeyMissing,
    TooManyFrames,
    TooManySessions,
)
from platformless.node.sessions.keys import KeyLimits, SessionKeys

TTL = 60.0
FIRST, SECOND = b"\x01" * 32, b"\x02" * 32


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


def nonce(number: int) -> bytes:
    return number.to_bytes(24, "big")


def test_a_session_has_the_key_of_its_last_init(keys: SessionKeys) -> None:
    keys.set(7, FIRST)
    keys.set(7, SECOND)
    assert keys.key(7) == SECOND
    assert len(keys) == 1


def test_a_session_without_an_init_has_no_key(keys: SessionKeys) -> None:
    with pytest.raises(SessionKeyMissing):
        keys.key(7)
    with pytest.raises(SessionKeyMissing):
        keys.take_nonce(7, nonce(1))


def test_a_key_ends_with_its_time(keys: SessionKeys, clock: Clock) -> None:
    keys.set(7, FIRST)
    clock.now += TTL - 0.1
    assert keys.key(7) == FIRST
    clock.now += 0.1
    with pytest.raises(SessionKeyMissing):
        keys.key(7)


def test_an_init_gives_a_key_its_whole_time_again(keys: SessionKeys, clock: Clock) -> None:
    keys.set(7, FIRST)
    clock.now += TTL - 1
    keys.set(7, SECOND)
    clock.now += TTL - 1
    assert keys.key(7) == SECOND


def test_a_key_that_ended_is_overwritten(keys: SessionKeys, clock: Clock) -> None:
    keys.set(7, FIRST)
    held = keys._keys[7].value
    clock.now += TTL
    assert keys.sweep() == 1
    assert bytes(held) == bytes(32)
    assert len(keys) == 0


def test_a_replaced_key_is_overwritten(keys: SessionKeys) -> None:
    keys.set(7, FIRST)
    held = keys._keys[7].value
    keys.set(7, SECOND)
    assert bytes(held) == bytes(32)


def test_a_message_is_taken_once_under_a_key(keys: SessionKeys) -> None:
    keys.set(7, FIRST)
    keys.take_nonce(7, nonce(1))
    keys.take_nonce(7, nonce(2))
    with pytest.raises(ReplayedFrame):
        keys.take_nonce(7, nonce(1))


def test_sessions_do_not_share_what_was_seen(keys: SessionKeys) -> None:
    keys.set(7, FIRST)
    keys.set(8, SECOND)
    keys.take_nonce(7, nonce(1))
    keys.take_nonce(8, nonce(1))


def test_too_many_messages_ask_for_a_new_key(keys: SessionKeys) -> None:
    keys.set(7, FIRST)
    for number in range(4):
        keys.take_nonce(7, nonce(number))
    with pytest.raises(TooManyFrames):
        keys.take_nonce(7, nonce(5))
    keys.set(7, SECOND)
    keys.take_nonce(7, nonce(5))


def test_there_is_room_for_so_many_sessions(keys: SessionKeys, clock: Clock) -> None:
    for session_id in range(3):
        keys.set(session_id, FIRST)
    with pytest.raises(TooManySessions):
        keys.set(3, FIRST)
    keys.set(2, SECOND)  # has its place already
    clock.now += TTL
    keys.set(3, FIRST)


def test_keys_are_not_shown(keys: SessionKeys) -> None:
    keys.set(7, b"secret-key-secret-key-secret-key")
    assert "secret-key" not in repr(keys._keys)
