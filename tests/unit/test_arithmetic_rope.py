"""Angles to the bit, sine and cosine in integers, and the bound of a rotation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.arithmetic.errors import CellRejected, ShapesDiffer
from platformless.protocol.arithmetic.operations import ROPE_BOUND
from platformless.protocol.arithmetic.rope import (
    Rope,
    RopeStyle,
    angle_scale,
    angles,
    cosine_and_sine,
    deviation,
    require_rotated,
)
from platformless.protocol.arithmetic.rounding import Singles

ROPE = Rope(RopeStyle.NORMAL, 64, angle_scale(np.float32(100000), 64))


def rotated(rope: Rope, position: int, heads: Singles) -> Singles:
    """In singles, each operation rounded."""
    cosine, sine = (part.astype(np.float32) for part in angles(rope, position))
    first, second = (part.astype(np.float32) for part in rope.pairs(heads))
    found = np.empty_like(heads)
    if rope.style is RopeStyle.NORMAL:
        found[..., 0::2], found[..., 1::2] = (
            first * cosine - second * sine,
            first * sine + second * cosine,
        )
    else:
        half = rope.dimensions // 2
        found[..., :half] = first * cosine - second * sine
        found[..., half:] = first * sine + second * cosine
    return found


@given(st.floats(0, 2**20, width=32, allow_subnormal=False))
def test_sine_and_cosine_are_right_to_double_precision(theta: float) -> None:
    cosine, sine = cosine_and_sine(int(np.float32(theta).view(np.uint32)))
    assert abs(cosine * 2.0**-62 - math.cos(theta)) < 2**-52
    assert abs(sine * 2.0**-62 - math.sin(theta)) < 2**-52


def test_position_zero_rotates_nothing() -> None:
    cosine, sine = angles(ROPE, 0)
    assert (cosine == 1).all()
    assert (sine == 0).all()


def test_the_scale_of_the_angle_is_the_nearest_single() -> None:
    assert angle_scale(np.float32(10000), 2) == np.float32(1e-4)
    assert ROPE.scale == np.float32(100000 ** (-1 / 32))
    assert angle_scale(np.float32(1e6), 96) == np.float32(1e6 ** float(np.float32(-2 / 96)))


@pytest.mark.parametrize("style", list(RopeStyle))
def test_a_rotation_in_singles_is_within_the_bound(style: RopeStyle) -> None:
    rope = Rope(style, 64, ROPE.scale)
    rng = np.random.default_rng(3)
    heads = (rng.normal(0, 1, (50, 64)) * np.exp(rng.normal(0, 2, (50, 64)))).astype(np.float32)
    for position in (1, 2, 77, 268, 8191, 131071):
        got = rotated(rope, position, heads)
        assert deviation(rope, position, heads, got) < ROPE_BOUND
        require_rotated(rope, position, heads, got)


def test_another_position_is_rejected() -> None:
    heads = np.random.default_rng(3).normal(0, 1, (1, 64)).astype(np.float32)
    with pytest.raises(CellRejected, match="ARI-006"):
        require_rotated(ROPE, 78, heads, rotated(ROPE, 77, heads))


def test_a_change_of_one_part_in_a_hundred_thousand_is_rejected() -> None:
    heads = np.random.default_rng(3).normal(0, 1, (1, 64)).astype(np.float32)
    got = rotated(ROPE, 77, heads)
    with pytest.raises(CellRejected):
        require_rotated(ROPE, 77, heads, got * np.float32(1 + 1e-5))


def test_a_deviation_from_nothing_is_infinite() -> None:
    heads = np.zeros((1, 64), np.float32)
    assert deviation(ROPE, 5, heads, heads) == 0
    got = heads.copy()
    got[0, 0] = 1e-30
    assert deviation(ROPE, 5, heads, got) == math.inf


def test_heads_of_another_size_and_positions_out_of_range_are_refused() -> None:
    heads = np.zeros((1, 32), np.float32)
    with pytest.raises(ShapesDiffer):
        deviation(ROPE, 5, heads, heads)
    for position in (-1, 1 << 24):
        with pytest.raises(ShapesDiffer):
            angles(ROPE, position)
    with pytest.raises(ShapesDiffer):
        Rope(RopeStyle.NORMAL, 7, ROPE.scale)
