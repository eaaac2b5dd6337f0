"""The wallet challenge, as wallets sign it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.chain.accounts import Account, encode_typed_data
from platformless.protocol.digests import Address
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.signatures import Signature, signer
from platformless.protocol.wallet_challenge import ChallengeNonce, WalletChallenge

KEY = b"\x05" * 32
CHALLENGE = WalletChallenge(
    chain_id=84532,
    marketplace=Address(b"\x11" * 20),
    host=Address(b"\x22" * 20),
    session_id=7,
    nonce=ChallengeNonce(b"\x33" * 32),
    expires=1_700_000_000,
)


def test_a_wallets_signature_is_recognised() -> None:
    message = encode_typed_data(
        domain_data={
            "name": "Platformless AI",
            "version": "1",
            "chainId": 84532,
            "verifyingContract": str(CHALLENGE.marketplace),
        },
        message_types={
            "WalletChallenge": [
                {"name": "host", "type": "address"},
                {"name": "sessionId", "type": "uint256"},
                {"name": "nonce", "type": "bytes32"},
                {"name": "expires", "type": "uint256"},
            ]
        },
        message_data={
            "host": str(CHALLENGE.host),
            "sessionId": 7,
            "nonce": CHALLENGE.nonce.value,
            "expires": CHALLENGE.expires,
        },
    )
    signed = Account.sign_message(message, KEY)
    wallet = Address.from_hex(Account.from_key(KEY).address)
    assert signer(CHALLENGE.signing_digest(), Signature(bytes(signed.signature))) == wallet


def test_every_field_is_signed() -> None:
    changes: list[dict[str, object]] = [
        {"chain_id": 1},
        {"marketplace": Address(b"\x12" * 20)},
        {"host": Address(b"\x23" * 20)},
        {"session_id": 8},
        {"nonce": ChallengeNonce(b"\x34" * 32)},
        {"expires": 1_700_000_001},
    ]
    digests = {replace(CHALLENGE, **change).signing_digest() for change in changes}  # type: ignore[arg-type]
    assert len(digests | {CHALLENGE.signing_digest()}) == len(changes) + 1


def test_numbers_must_fit() -> None:
    with pytest.raises(ValueOutOfRange):
        replace(CHALLENGE, expires=-1)
