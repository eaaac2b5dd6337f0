"""Fees: enough for the next block, never more than the cap, and replacements that nodes take."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from platformless.chain.connection import GasPrices
from platformless.chain.errors import FeesAboveCap
from platformless.chain.sending.fees import GWEI, FeePolicy, Fees

GAS_PRICES = st.builds(GasPrices, st.integers(0, 100 * GWEI), st.integers(0, 5 * GWEI))
POLICY = FeePolicy(cap=50 * GWEI)
LEAST_PERCENT = 110
"""What nodes ask of a replacement: 10 % more of both fees."""


@given(GAS_PRICES)
def test_a_first_offer_pays_for_the_next_block_and_keeps_to_the_cap(prices: GasPrices) -> None:
    try:
        fees = POLICY.first_offer(prices)
    except FeesAboveCap:
        assert prices.base_fee + POLICY.least_priority_fee > POLICY.cap
        return
    assert POLICY.pays(fees, prices)
    assert 0 < fees.priority_fee <= fees.max_fee <= POLICY.cap


@given(GAS_PRICES, GAS_PRICES)
def test_a_replacement_is_one_that_nodes_take(first: GasPrices, later: GasPrices) -> None:
    assume(first.base_fee + POLICY.least_priority_fee <= POLICY.cap)
    offered = POLICY.first_offer(first)
    fees = POLICY.replacement(offered, later)
    if fees is None:
        return
    assert fees.max_fee * 100 >= offered.max_fee * LEAST_PERCENT
    assert fees.priority_fee * 100 >= offered.priority_fee * LEAST_PERCENT
    assert fees.priority_fee <= fees.max_fee <= POLICY.cap
    assert POLICY.pays(fees, later)


def test_a_replacement_is_possible_until_the_cap_forbids_it() -> None:
    prices = GasPrices(GWEI, GWEI // 1000)
    offered = POLICY.first_offer(prices)
    count = 0
    while (better := POLICY.replacement(offered, prices)) is not None:
        offered, count = better, count + 1
    assert count > 20
    assert offered.max_fee * LEAST_PERCENT <= POLICY.cap * 120
    assert POLICY.replacement(Fees(POLICY.cap, GWEI), prices) is None


@given(GAS_PRICES)
def test_no_tip_runs_away_from_what_the_market_asks(prices: GasPrices) -> None:
    assume(prices.base_fee + POLICY.least_priority_fee <= POLICY.cap)
    most = max(5 * prices.priority_fee, 5 * POLICY.least_priority_fee, prices.base_fee)
    offered = POLICY.first_offer(prices)
    while not POLICY.tips_most(offered, prices):
        better = POLICY.replacement(offered, prices)
        if better is None:
            break
        offered = better
    assert offered.priority_fee * 100 <= most * LEAST_PERCENT + 100


def test_a_tip_that_is_too_high_already_grows_only_as_nodes_ask() -> None:
    """The base fee has outgrown what the offer pays at most, so it must be replaced."""
    offered = Fees(2 * GWEI, GWEI)
    later = GasPrices(3 * GWEI // 10, GWEI // 1000)
    assert POLICY.tips_most(offered, later)
    fees = POLICY.replacement(offered, later)
    assert fees is not None
    assert fees.priority_fee == 11 * GWEI // 10


def test_a_tip_follows_a_market_that_asks_more() -> None:
    offered = POLICY.first_offer(GasPrices(GWEI // 1000, GWEI // 1000))
    later = GasPrices(GWEI // 1000, 3 * GWEI)
    assert not POLICY.tips_most(offered, later)
    fees = POLICY.replacement(offered, later)
    assert fees is not None
    assert fees.max_fee >= fees.priority_fee >= offered.priority_fee * LEAST_PERCENT / 100


def test_fees_above_the_cap_tell_both_numbers() -> None:
    with pytest.raises(FeesAboveCap) as error:
        FeePolicy(cap=GWEI).first_offer(GasPrices(3 * GWEI, 0))
    assert error.value.expected == "at most 1 gwei"
    assert error.value.got == "3.001 gwei"


def test_fees_are_shown_in_gwei() -> None:
    assert str(Fees(2 * GWEI, GWEI // 1000)) == "2 gwei at most, 0.001 gwei tip"
