"""The client's signature."""

from __future__ import annotations

import dataclasses

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given

from platformless.audit.errors import (
    AcknowledgementForeign,
    AcknowledgementInvalid,
    AcknowledgementMissing,
)
from platformless.audit.policy import Acknowledgement
from platformless.chain.accounts import Account
from platformless.protocol.acknowledgement import AcknowledgementSignature, sign, signer
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import Address, StateDigest
from platformless.protocol.transcript import Tokens

from ..samples import FIRST, TERMS
from ..strategies import bytes20

KEY = b"\x07" * 32
CLIENT = Address.from_hex(Account.from_key(KEY).address)


@pytest.fixture(scope="module")
def claim() -> SessionClaim:
    first = FIRST.claim()
    return dataclasses.replace(first, terms=dataclasses.replace(first.terms, client=CLIENT))


def test_the_digest_is_that_of_eip_712(claim: SessionClaim) -> None:
    """The same document through eth-account, as wallets sign it."""
    document = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Acknowledgement": [
                {"name": "sessionId", "type": "uint256"},
                {"name": "tokens", "type": "uint256"},
                {"name": "state", "type": "bytes32"},
            ],
        },
        "primaryType": "Acknowledgement",
        "domain": {
            "name": "Platformless AI",
            "version": "1",
            "chainId": claim.terms.chain_id,
            "verifyingContract": str(claim.terms.marketplace),
        },
        "message": {
            "sessionId": claim.terms.session_id,
            "tokens": claim.tokens_after,
            "state": claim.state_after.value,
        },
    }
    signed = Account.sign_typed_data(KEY, full_message=document)
    assert bytes(signed.signature) == sign(claim, KEY).value


@given(bytes20)
def test_addresses_print_with_their_checksum(value: bytes) -> None:
    assert str(Address(value)) == to_checksum_address(value)


def test_the_client_is_recovered_from_its_signature(claim: SessionClaim) -> None:
    signature = sign(claim, KEY)
    assert signer(claim, signature) == CLIENT
    assert Acknowledgement(required=True).verify(claim, signature) == CLIENT


@pytest.mark.parametrize(
    "change",
    [
        {"terms": dataclasses.replace(TERMS, client=CLIENT, chain_id=1)},
        {"terms": dataclasses.replace(TERMS, client=CLIENT, marketplace=Address(b"\x01" * 20))},
        {"terms": dataclasses.replace(TERMS, client=CLIENT, session_id=1)},
        {"tokens_after": Tokens(2**63)},
        {"state_after": StateDigest(b"\x01" * 32)},
    ],
)
def test_a_signature_covers_what_it_acknowledges(
    claim: SessionClaim, change: dict[str, object]
) -> None:
    signature = sign(claim, KEY)
    with pytest.raises(AcknowledgementForeign):
        Acknowledgement().verify(dataclasses.replace(claim, **change), signature)  # type: ignore[arg-type]


def test_a_signature_of_another_key_is_foreign(claim: SessionClaim) -> None:
    with pytest.raises(AcknowledgementForeign) as caught:
        Acknowledgement().verify(claim, sign(claim, b"\x08" * 32))
    assert caught.value.expected == CLIENT


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_a_signature_has_a_known_recovery_id(claim: SessionClaim, v: int) -> None:
    signature = AcknowledgementSignature(sign(claim, KEY).value[:64] + bytes([v]))
    with pytest.raises(AcknowledgementInvalid):
        Acknowledgement().verify(claim, signature)


def test_bytes_that_no_key_made_are_invalid(claim: SessionClaim) -> None:
    with pytest.raises(AcknowledgementInvalid):
        Acknowledgement().verify(claim, AcknowledgementSignature(b"\xff" * 64 + b"\x1b"))


def test_a_missing_signature_is_accepted_only_where_none_is_required(claim: SessionClaim) -> None:
    assert Acknowledgement().verify(claim, None) is None
    with pytest.raises(AcknowledgementMissing):
        Acknowledgement(required=True).verify(claim, None)
