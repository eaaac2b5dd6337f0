"""The host's key in memory: what it signs, and that it is never shown."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.chain.accounts import Account, encode_defunct
from platformless.protocol.digests import Address
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.host_key import LocalKey
from platformless.protocol.secrecy import PublicKeyBytes, agree
from platformless.protocol.signatures import text_signer
from platformless.protocol.transaction import Transaction

KEY = b"\x07" * 32
HOST = LocalKey(KEY)

transactions = st.builds(
    Transaction,
    chain_id=st.integers(1, 2**62),
    nonce=st.integers(0, 2**64 - 2),
    to=st.binary(min_size=20, max_size=20).map(Address),
    value=st.integers(0, 2**256 - 1),
    data=st.binary(max_size=300),
    gas_limit=st.integers(0, 2**64 - 1),
    max_fee=st.integers(0, 2**128),
    priority_fee=st.integers(0, 2**128),
)


@given(transactions)
def test_a_transaction_is_signed_as_other_wallets_sign_it(transaction: Transaction) -> None:
    fields = {
        "type": 2,
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "to": transaction.to.value,
        "value": transaction.value,
        "data": transaction.data,
        "gas": transaction.gas_limit,
        "maxFeePerGas": transaction.max_fee,
        "maxPriorityFeePerGas": transaction.priority_fee,
    }
    expected = Account.from_key(KEY).sign_transaction(fields)
    assert transaction.signed(HOST.sign_transaction(transaction)) == bytes(expected.raw_transaction)


@given(st.binary(max_size=100))
def test_a_text_is_signed_as_other_wallets_sign_it(text: bytes) -> None:
    expected = Account.from_key(KEY).sign_message(encode_defunct(text))
    signature = HOST.sign_text(text)
    assert signature.value == bytes(expected.signature)
    assert text_signer(text, signature) == HOST.address


def test_both_sides_agree_on_the_same_secret() -> None:
    other = b"\x08" * 32
    assert HOST.agree(PublicKeyBytes.of(other)) == agree(other, HOST.public_key)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_challenge_is_32_bytes_and_nothing_else(length: int) -> None:
    with pytest.raises(ValueOutOfRange):
        HOST.sign_challenge(b"\x01" * length)


@pytest.mark.parametrize("key", [b"", b"\x07" * 31, b"\x07" * 33, bytes(32), b"\xff" * 32])
def test_what_is_no_key_is_refused_and_not_shown(key: bytes) -> None:
    with pytest.raises(ValueOutOfRange) as refused:
        LocalKey(key)
    assert key.hex() not in str(refused.value) or not key


def test_a_key_is_not_shown_and_not_sent_on() -> None:
    assert repr(HOST) == f"LocalKey({HOST.address})"
    with pytest.raises(TypeError):
        pickle.dumps(HOST)


@pytest.mark.parametrize("name", ["nonce", "value", "max_fee"])
@pytest.mark.parametrize("number", [-1, 2**256])
def test_a_number_that_no_transaction_holds_is_refused(name: str, number: int) -> None:
    fields = {
        "chain_id": 1,
        "nonce": 0,
        "to": HOST.address,
        "value": 0,
        "data": b"",
        "gas_limit": 21_000,
        "max_fee": 1,
        "priority_fee": 1,
    }
    with pytest.raises(ValueOutOfRange, match=name):
        Transaction(**{**fields, name: number})  # type: ignore[arg-type]
