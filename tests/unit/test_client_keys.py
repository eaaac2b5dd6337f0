"""Keys and signatures: a host's key is its account's, and a wallet signs only what it should."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from coincurve import PrivateKey

from platformless.chain.accounts import Account
from platformless.chain.host_metadata import key_in_metadata
from platformless.client.errors import ChallengeForeign, HostKeyForeign, HostUnreachable
from platformless.client.hosts import (
    HostSignature,
    KeyChallenge,
    check_key,
    key_from_signature,
)
from platformless.client.verifying import Agreed
from platformless.client.wallet import Wallet
from platformless.client.web import read_challenge, websocket_url
from platformless.protocol.digests import Address
from platformless.protocol.errors import ValueOutOfRange
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.signatures import signer

from ..samples import TERMS

HOST_KEY = b"\x05" * 32
HOST = Address.from_hex(Account.from_key(HOST_KEY).address)
HOST_PUBLIC = PublicKeyBytes.of(HOST_KEY)
STRANGER = PublicKeyBytes.of(b"\x06" * 32)
WALLET = Wallet(b"\x07" * 32)
AGREED = Agreed(
    TERMS.chain_id, TERMS.marketplace, 7, HOST, WALLET.address, TERMS.model_id, TERMS.price
)
NOW = 1_700_000_000.0
CHALLENGE = {
    "chain_id": TERMS.chain_id,
    "marketplace": str(TERMS.marketplace),
    "host": str(HOST),
    "session_id": "7",
    "nonce": "0x" + "33" * 32,
    "expires": int(NOW) + 60,
}


# The wallet


def test_the_wallets_address_is_its_accounts() -> None:
    assert str(WALLET.address) == Account.from_key(b"\x07" * 32).address
    assert WALLET.account.address == str(WALLET.address)


@pytest.mark.parametrize("key", [b"", b"\x01" * 31, bytes(32), b"\xff" * 32])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(ValueOutOfRange):
        Wallet(key)


def test_the_encryption_key_is_derived_and_another() -> None:
    assert Wallet(b"\x07" * 32).encryption_key == WALLET.encryption_key != b"\x07" * 32
    assert WALLET.recovery_key == PublicKeyBytes.of(WALLET.encryption_key)


def test_a_wallet_does_not_show_its_key() -> None:
    assert repr(WALLET) == f"Wallet({WALLET.address})"


# Wallet challenges


def challenge(**changes: object) -> bytes:
    return json.dumps({**CHALLENGE, **changes}).encode()


def test_a_challenge_for_this_session_is_answered() -> None:
    found = read_challenge(challenge(chain_id=str(TERMS.chain_id)), AGREED, NOW)
    assert signer(found.signing_digest(), WALLET.answer(found)) == WALLET.address


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"marketplace": str(HOST)},
        {"host": str(WALLET.address)},
        {"session_id": "8"},
        {"nonce": "0x33"},
        {"nonce": None},
        {"expires": int(NOW) - 1},
        {"expires": int(NOW) + 10**6},
        {"session_id": "seven"},
    ],
)
def test_a_challenge_about_anything_else_is_not_signed(change: dict[str, object]) -> None:
    with pytest.raises(ChallengeForeign):
        read_challenge(challenge(**change), AGREED, NOW)


# Host keys


def metadata(key: PublicKeyBytes) -> str:
    return json.dumps({"name": "host", "publicKey": key.value.hex()})


def test_a_key_in_metadata_must_be_the_hosts() -> None:
    assert key_in_metadata(metadata(HOST_PUBLIC), HOST) == HOST_PUBLIC
    assert key_in_metadata(metadata(STRANGER), HOST) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"publicKey": 1}',
        '{"publicKey": "02"}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_metadata_without_a_key_is_no_error(text: str) -> None:
    assert key_in_metadata(text, HOST) is None


def test_a_key_is_checked_against_the_account() -> None:
    check_key(HOST_PUBLIC, HOST)
    with pytest.raises(HostKeyForeign, match="another account"):
        check_key(STRANGER, HOST)
    with pytest.raises(HostKeyForeign, match="not a secp256k1 key"):
        check_key(PublicKeyBytes(bytes(33)), HOST)


def signed(key: bytes, challenge: bytes) -> tuple[HostSignature, int]:
    digest = hashlib.sha256(challenge).digest()
    signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return HostSignature(signature[:64]), signature[64]


def test_a_host_shows_its_key_by_signing() -> None:
    asked = KeyChallenge(b"\x01" * 32)
    signature, recovery_id = signed(HOST_KEY, asked.value)
    assert key_from_signature(asked, signature, recovery_id, HOST) == HOST_PUBLIC
    for case in (
        (KeyChallenge(b"\x02" * 32), signature, recovery_id),
        (asked, signature, 1 - recovery_id),
        (asked, signature, 2),
        (asked, HostSignature(bytes(64)), recovery_id),
        (asked, *signed(b"\x06" * 32, asked.value)),
    ):
        with pytest.raises(HostKeyForeign):
            key_from_signature(*case, HOST)


# Addresses


@pytest.mark.parametrize(
    ("api_url", "expected"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/ws"),
        ("https://host.example/", "wss://host.example/v1/ws"),
        ("HTTPS://host.example/base", "wss://host.example/base/v1/ws"),
    ],
)
def test_the_socket_is_below_the_api(api_url: str, expected: str) -> None:
    assert websocket_url(api_url) == expected


@pytest.mark.parametrize("api_url", ["", "ftp://host.example", "file:///etc/passwd"])
def test_other_addresses_are_no_hosts(api_url: str) -> None:
    with pytest.raises(HostUnreachable):
        websocket_url(api_url)


def test_the_price_and_terms_do_not_matter_to_a_challenge() -> None:
    assert read_challenge(challenge(), replace(AGREED, price=1), NOW).session_id == 7
