"""The fused multiply-add, sums and halves, in doubles and in integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.arithmetic import scalar
from platformless.protocol.arithmetic.errors import Denormal, NotFinite
from platformless.protocol.arithmetic.rounding import (
    Singles,
    fuse,
    require_normal,
    to_half,
    tree_sum,
)


def patterns(lowest: int, highest: int) -> st.SearchStrategy[int]:
    """Bits of singles whose biased exponent is in that range."""
    return st.builds(
        lambda sign, exponent, fraction: sign << 31 | exponent << 23 | fraction,
        st.integers(0, 1),
        st.integers(lowest, highest),
        st.integers(0, 2**23 - 1),
    )


finite = patterns(64, 189)
"""Every product of two is a normal single."""
any_finite = patterns(0, 189)


def singles(*bits: int) -> Singles:
    return np.array(bits, np.uint32).view(np.float32)


def bits_of(value: Singles) -> list[int]:
    return [int(one) for one in value.view(np.uint32)]


def nearest(value: Fraction) -> float:
    """The single nearest to a fraction, by trying the two around it; ties to the even one."""
    guess = np.float32(float(value))
    near = [np.nextafter(guess, np.float32(sign * np.inf)) for sign in (-1, 1)] + [guess]
    return float(
        min(near, key=lambda one: (abs(Fraction(float(one)) - value), one.view(np.uint32) & 1))
    )


@given(finite, finite, finite)
def test_a_fused_multiply_add_is_the_nearest_single(a: int, b: int, c: int) -> None:
    x, y, z = (singles(bits) for bits in (a, b, c))
    exact = Fraction(float(x[0])) * Fraction(float(y[0])) + Fraction(float(z[0]))
    assert float(fuse(x, y, z)[0]) == nearest(exact)


@given(any_finite, any_finite, any_finite)
def test_integers_fuse_as_doubles_do(a: int, b: int, c: int) -> None:
    x, y, z = (singles(bits) for bits in (a, b, c))
    got = scalar.fuse(scalar.take_apart(a), scalar.take_apart(b), c)
    expected = bits_of(fuse(x, y, z))[0]
    assert got == expected or (got << 1 & 0xFFFFFFFF) == (expected << 1 & 0xFFFFFFFF) == 0


def test_a_double_rounding_would_be_wrong_and_is_not_made() -> None:
    a, b, c = np.float32(1 + 2.0**-12), np.float32(2.0**-24), np.float32(1)
    # 1 + 2^-24 + 2^-36 is over the midpoint of 1 and its successor.
    assert float(fuse(np.array([a]), np.array([b]), np.array([c]))[0]) == 1 + 2.0**-23
    tiny = np.float32(2.0**-40)
    near = fuse(np.array([tiny]), np.array([tiny]), np.array([np.float32(1 + 2.0**-23)]))
    assert float(near[0]) == 1 + 2.0**-23
    # The sum in doubles is the midpoint itself, the real sum is beside it.
    a, b = np.float32(2.0**-24 * (1 + 2.0**-23)), np.float32(1 + 2.0**-23)
    for sign in (1, -1):
        product = Fraction(float(a)) * Fraction(float(b))
        c = np.float32(1 - sign * 2.0**-23)
        got = fuse(np.array([a]), np.array([b]), np.array([c]))
        assert float(got[0]) == nearest(product + Fraction(float(c)))


@given(st.integers(0, 2**16 - 1))
def test_a_midpoint_of_doubles_is_rounded_by_what_was_lost(low: int) -> None:
    a = np.float32(1 + (2 * low + 1) * 2.0**-23)
    c = np.float32(2.0**30)
    product = Fraction(float(a)) ** 2
    got = fuse(np.array([a]), np.array([a]), np.array([c]))
    assert float(got[0]) == nearest(product + Fraction(float(c)))


@given(st.lists(finite, min_size=8, max_size=8))
def test_lanes_are_added_upper_half_onto_lower(lanes: list[int]) -> None:
    got = tree_sum(singles(*lanes))
    v = singles(*lanes)
    by_hand = ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    assert got == by_hand
    assert scalar.tree_sum(lanes) == int(np.float32(got).view(np.uint32))


@given(finite, finite)
def test_integers_add_and_multiply_as_singles_do(a: int, b: int) -> None:
    x, y = singles(a), singles(b)
    assert scalar.add(a, b) == bits_of(x + y)[0]
    assert scalar.multiply(a, b) == bits_of(x * y)[0]


@given(patterns(0, 141))
def test_halves_are_rounded_alike(bits: int) -> None:
    value = singles(bits)
    expected = int(to_half(value).view(np.uint16)[0])
    got = scalar.pack_half(scalar.take_apart(bits), negative_zero=bool(bits >> 31))
    assert got == expected or (expected & 0x7FFF == 0 and got & 0x7FFF == 0)


def test_a_value_beyond_the_halves_is_refused() -> None:
    to_half(np.array([65519], np.float32))
    with pytest.raises(NotFinite):
        to_half(np.array([65520], np.float32))
    with pytest.raises(NotFinite):
        scalar.pack_half((65520, 0))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinities_and_nan_are_refused(value: float) -> None:
    with pytest.raises(NotFinite, match="ARI-001"):
        require_normal("a row", np.array([1, value], np.float32))
    with pytest.raises(NotFinite):
        scalar.take_apart(bits_of(np.array([value], np.float32))[0])


def test_denormals_are_refused() -> None:
    require_normal("a row", np.array([0, -0.0, 2.0**-126], np.float32))
    with pytest.raises(Denormal, match="ARI-002"):
        require_normal("a row", np.array([2.0**-127], np.float32))
