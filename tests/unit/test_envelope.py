"""The encrypted session, byte for byte as the existing client has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol import envelope
from platformless.protocol.digests import Address
from platformless.protocol.envelope import EncryptedInit
from platformless.protocol.errors import EnvelopeBroken
from platformless.protocol.host_key import LocalKey
from platformless.protocol.secrecy import PublicKeyBytes

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "existing-client.json").read_text())
HOST_KEY, CLIENT_KEY = b"\x07" * 32, b"\x08" * 32
HOST = PublicKeyBytes.of(HOST_KEY)
FIELDS = {
    "jobId": "7",
    "modelName": "smollm2",
    "sessionKey": "ab" * 32,
    "pricePerToken": 5000,
    "recoveryPublicKey": str(PublicKeyBytes.of(CLIENT_KEY)),
}


def read(payload: dict[str, Any]) -> EncryptedInit:
    return EncryptedInit(
        PublicKeyBytes.from_hex(payload["ephPubHex"]),
        envelope.encrypted_from_hex(
            payload["ciphertextHex"], payload["nonceHex"], payload["aadHex"]
        ),
        envelope.init_signature(payload["signatureHex"]),
    )


def sealed(**changes: object) -> EncryptedInit:
    return envelope.seal_init(
        {**FIELDS, **changes}, HOST, CLIENT_KEY, ephemeral=b"\x09" * 32, nonce=b"\x0a" * 24
    )


@pytest.mark.parametrize("vector", VECTORS["init"])
def test_an_init_of_the_existing_client_is_opened(vector: dict[str, Any]) -> None:
    opened = envelope.open_init(
        read(vector["payload"]), LocalKey(bytes.fromhex(vector["hostPrivateKey"]))
    )
    fields = json.loads(vector["plaintext"])
    assert opened.job_id == int(fields["jobId"])
    assert opened.session_key.hex() == fields["sessionKey"]
    assert opened.model_name == fields["modelName"]
    assert opened.price == fields["pricePerToken"]
    assert opened.client_key_address == Address.from_hex(vector["clientAddress"])
    told = opened.recovery_key.value.hex() if opened.recovery_key else None
    assert told == fields.get("recoveryPublicKey")


@pytest.mark.parametrize("vector", VECTORS["message"])
def test_a_message_of_the_existing_client_is_opened_and_written(vector: dict[str, Any]) -> None:
    key = bytes.fromhex(vector["sessionKey"])
    encrypted = envelope.encrypted_from_hex(vector["ciphertext"], vector["nonce"], vector["aad"])
    plaintext = vector["plaintext"].encode()
    assert envelope.open_message(encrypted, key) == plaintext
    written = envelope.seal_message(
        plaintext, key, nonce=encrypted.nonce, associated=encrypted.associated
    )
    assert written == encrypted


def test_an_init_is_read_back() -> None:
    opened = envelope.open_init(read(sealed().to_json()), LocalKey(HOST_KEY))
    assert opened.job_id == 7
    assert opened.recovery_key == PublicKeyBytes.of(CLIENT_KEY)
    assert "ab" * 4 not in repr(opened)


@pytest.mark.parametrize(
    "changes",
    [
        {"jobId": "seven"},
        {"jobId": -1},
        {"jobId": None},
        {"sessionKey": "ab" * 31},
        {"sessionKey": "zz" * 32},
        {"pricePerToken": "1.5"},
        {"recoveryPublicKey": "0x02"},
        {"modelName": 7},
    ],
)
def test_an_init_that_does_not_say_what_it_must_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(EnvelopeBroken) as error:
        envelope.open_init(sealed(**changes), LocalKey(HOST_KEY))
    assert "abab" not in str(error.value)


@pytest.mark.parametrize("price", ["5000", "5000n", 5000, 0])
def test_numbers_may_be_texts(price: object) -> None:
    assert envelope.open_init(sealed(pricePerToken=price), LocalKey(HOST_KEY)).price == int(
        str(price).removesuffix("n")
    )


def test_another_host_cannot_open_an_init() -> None:
    with pytest.raises(EnvelopeBroken):
        envelope.open_init(sealed(), LocalKey(CLIENT_KEY))


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_changed_init_is_refused_or_signed_by_another(at: int, bit: int) -> None:
    init = sealed()
    changed = bytearray(init.encrypted.ciphertext)
    changed[at % len(changed)] ^= 1 << bit
    broken = replace(init, encrypted=replace(init.encrypted, ciphertext=bytes(changed)))
    with pytest.raises(EnvelopeBroken):
        envelope.open_init(broken, LocalKey(HOST_KEY))


@given(st.binary(max_size=60))
def test_other_signatures_do_not_pass_for_the_clients(noise: bytes) -> None:
    init = sealed()
    try:
        signature = envelope.init_signature((noise + bytes(65))[:65].hex())
        opened = envelope.open_init(replace(init, signature=signature), LocalKey(HOST_KEY))
    except EnvelopeBroken:
        return
    honest = envelope.open_init(init, LocalKey(HOST_KEY))
    assert opened.client_key_address != honest.client_key_address


@pytest.mark.parametrize("nonce", ["", "00" * 23, "00" * 25])
def test_a_nonce_has_its_length(nonce: str) -> None:
    with pytest.raises(EnvelopeBroken):
        envelope.encrypted_from_hex("00" * 16, nonce, "")


def test_a_message_under_another_key_or_place_is_refused() -> None:
    key = b"\x01" * 32
    sealed_message = envelope.seal_message(
        b"hi", key, nonce=b"\x02" * 24, associated=envelope.chunk_associated(3)
    )
    assert sealed_message.associated == b"chunk_3"
    for wrong, other in (
        (sealed_message, b"\x03" * 32),
        (replace(sealed_message, associated=envelope.chunk_associated(4)), key),
        (replace(sealed_message, nonce=b"\x04" * 24), key),
    ):
        with pytest.raises(EnvelopeBroken):
            envelope.open_message(wrong, other)


@pytest.mark.parametrize("associated", [envelope.chunk_associated(0), envelope.FINAL_ASSOCIATED])
def test_an_answer_of_the_host_does_not_come_back_as_a_prompt(associated: bytes) -> None:
    key = b"\x01" * 32
    answer = envelope.seal_message(b"hi", key, nonce=b"\x02" * 24, associated=associated)
    assert envelope.open_message(answer, key) == b"hi"
    with pytest.raises(EnvelopeBroken):
        envelope.open_client_message(answer, key)
    sent = envelope.seal_message(b"hi", key, nonce=b"\x02" * 24, associated=b"message_0")
    assert envelope.open_client_message(sent, key) == b"hi"
