"""Amounts, prices and the arithmetic of a settlement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.chain.errors import MixedTokens, UnknownName
from platformless.chain.money import NATIVE, Amount, Price, Token, settle
from platformless.chain.networks import BASE_SEPOLIA, network_from, network_named
from platformless.protocol.digests import Address
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.transcript import Tokens

USDC = BASE_SEPOLIA.usdc


@pytest.mark.parametrize(
    ("text", "units", "shown"),
    [
        ("1.5", 1_500_000, "1.5 USDC"),
        ("0.000001", 1, "0.000001 USDC"),
        ("1234567", 1_234_567_000_000, "1,234,567 USDC"),
        ("0", 0, "0 USDC"),
    ],
)
def test_an_amount_is_read_and_shown_in_whole_coins(text: str, units: int, shown: str) -> None:
    amount = USDC.amount(text)
    assert amount.units == units
    assert str(amount) == shown


@pytest.mark.parametrize("text", ["0.0000001", "-1", str(2**256)])
def test_an_amount_that_no_token_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueOutOfRange):
        USDC.amount(text)


@given(st.integers(0, 2**256 - 1))
def test_amounts_of_any_size_are_exact(units: int) -> None:
    amount = Amount(units, NATIVE)
    shown = str(amount).removesuffix(" ETH").replace(",", "")
    assert NATIVE.amount(shown) == amount


def test_amounts_of_different_tokens_do_not_mix() -> None:
    with pytest.raises(MixedTokens):
        USDC.amount(1) + NATIVE.amount(1)
    with pytest.raises(MixedTokens):
        _ = USDC.amount(1) < NATIVE.amount(1)


def test_less_than_nothing_is_refused() -> None:
    with pytest.raises(ValueOutOfRange):
        USDC.amount(1) - USDC.amount(2)


def test_a_price_is_for_a_thousand_tokens() -> None:
    five_dollars_for_a_million = Price(5_000, USDC)
    assert five_dollars_for_a_million.cost(Tokens(1_000_000)) == USDC.amount(5)
    assert five_dollars_for_a_million.cost(Tokens(199)).units == 995
    assert five_dollars_for_a_million.affordable(USDC.amount("0.5")) == 100_000


@given(
    deposit=st.integers(1, 2**100),
    price=st.integers(1, 2**60),
    fee=st.integers(0, 10_000),
    permille=st.integers(0, 1000),
)
def test_a_settlement_gives_away_exactly_the_deposit(
    deposit: int, price: int, fee: int, permille: int
) -> None:
    paid = Amount(deposit, USDC)
    asked = Price(price, USDC)
    tokens = Tokens(asked.affordable(paid) * permille // 1000)
    result = settle(paid, asked, tokens, fee)
    assert result.fee + result.host + result.refund == paid
    assert result.fee + result.host == result.gross
    assert result.fee.units == result.gross.units * fee // 10_000


def test_networks_and_tokens_are_found_by_name() -> None:
    network = network_named("base-sepolia")
    assert network.chain_id == 84532
    assert network.token_named("usdc") == USDC
    assert network.token(Address.zero()) == NATIVE
    unknown = Address(b"\x07" * 20)
    assert network.token(unknown) == Token(unknown, f"units of {unknown}", 0)
    with pytest.raises(UnknownName):
        network_named("base")
    with pytest.raises(UnknownName):
        network.token_named("DAI")


def test_a_network_is_described_by_the_environment() -> None:
    assert network_from({}) == BASE_SEPOLIA
    marketplace = Address(b"\x42" * 20)
    network = network_from(
        {
            "CHAIN_ID": "31337",
            "RPC_URL": "http://127.0.0.1:1, http://127.0.0.1:2",
            "CONTRACT_JOB_MARKETPLACE": str(marketplace),
            "USDC_TOKEN": str(marketplace),
            "CONTRACT_NODE_REGISTRY": "",
        }
    )
    assert network.chain_id == 31337
    assert network.rpc_urls == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert network.marketplace == marketplace == network.usdc.address
    assert network.usdc.decimals == 6
    assert network.node_registry == BASE_SEPOLIA.node_registry
    for wrong in ({"CHAIN_ID": "one"}, {"CONTRACT_JOB_MARKETPLACE": "0x12"}):
        with pytest.raises(ValueOutOfRange):
            network_from(wrong)
