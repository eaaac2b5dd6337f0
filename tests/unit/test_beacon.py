"""Which block draws, and which checkpoints it draws."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.digests import StateDigest, TraceRoot, tagged_sha256
from platformless.protocol.errors import ProtocolError, ValueOutOfRange
from platformless.protocol.sample.beacon import BEACON_DELAY_BLOCKS, beacon_block, is_drawn
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.words import U32_MAX

from ..strategies import bytes32

MANY = 4_000
roots, states, beacons = bytes32.map(TraceRoot), bytes32.map(StateDigest), bytes32.map(Beacon)
parts = st.integers(1, U32_MAX)


def some(number: int) -> tuple[TraceRoot, StateDigest, Beacon]:
    told = [hashlib.sha256(f"{number} {what}".encode()).digest() for what in ("r", "s", "b")]
    return TraceRoot(told[0]), StateDigest(told[1]), Beacon(told[2])


def test_the_beacon_is_four_blocks_behind_the_submission() -> None:
    assert BEACON_DELAY_BLOCKS == 4
    assert [beacon_block(number) for number in (0, 1, 10**9)] == [4, 5, 10**9 + 4]


@given(roots, states, beacons, parts, parts)
def test_who_proves_more_proves_what_is_drawn_for_less(
    root: TraceRoot, state: StateDigest, beacon: Beacon, one: int, other: int
) -> None:
    fewer, more = max(one, other), min(one, other)
    if is_drawn(root, state, beacon, fewer):
        assert is_drawn(root, state, beacon, more)


@given(roots, states, beacons)
def test_where_all_are_asked_for_all_are_drawn(
    root: TraceRoot, state: StateDigest, beacon: Beacon
) -> None:
    assert is_drawn(root, state, beacon, 1)


@pytest.mark.parametrize("one_in", [2, 3, 16])
def test_about_as_many_are_drawn_as_are_asked_for(one_in: int) -> None:
    drawn = sum(is_drawn(*some(number), one_in) for number in range(MANY))
    expected = MANY / one_in
    assert abs(drawn - expected) < 5 * expected**0.5  # five standard deviations


@given(roots, states, beacons, parts)
def test_the_draw_is_as_it_is_written_down(
    root: TraceRoot, state: StateDigest, beacon: Beacon, one_in: int
) -> None:
    digest = tagged_sha256("sample-checkpoint", root.value + state.value + beacon.value)
    draw = int.from_bytes(digest[:8], "little")
    assert is_drawn(root, state, beacon, one_in) == (draw < 2**64 // one_in)


def test_root_state_and_block_all_count() -> None:
    seen = set()
    for number in range(64):
        root, state, beacon = some(number)
        base = some(0)
        seen.add((is_drawn(root, *base[1:], 2), "root"))
        seen.add((is_drawn(base[0], state, base[2], 2), "state"))
        seen.add((is_drawn(*base[:2], beacon, 2), "block"))
    assert len(seen) == 6


@pytest.mark.parametrize("one_in", [0, -1, U32_MAX + 1])
def test_a_share_that_is_none_is_refused(one_in: int) -> None:
    with pytest.raises(ProtocolError) as refused:
        is_drawn(*some(0), one_in)
    assert isinstance(refused.value, ValueOutOfRange)
