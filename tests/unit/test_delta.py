"""Deltas and their index: what the existing client reads, and what binds it to proof and host."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.chain.accounts import Account, encode_defunct
from platformless.protocol import canonical, delta, index
from platformless.protocol.delta import Delta, Message, SealedDelta, SignedDelta
from platformless.protocol.digests import Address, ProofHash, Salt
from platformless.protocol.errors import (
    DeltaFormatError,
    IndexConflict,
    IndexFormatError,
    SealBroken,
    ValueOutOfRange,
)
from platformless.protocol.index import CheckpointIndex, IndexEntry
from platformless.protocol.sealing import Sealed, seal, sealing_key, unseal
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.signatures import personal_digest, sign, signer
from platformless.protocol.transcript import Tokens

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "existing-client.json").read_text())
HOST_KEY = b"\x07" * 32
CLIENT_KEY = b"\x08" * 32
HOST = Address.from_hex(Account.from_key(HOST_KEY).address)
RECOVERY = PublicKeyBytes.of(CLIENT_KEY)
DELTA = Delta(
    session_id=7,
    checkpoint=0,
    proof_hash=ProofHash(b"\x11" * 32),
    tokens_before=Tokens(0),
    tokens_after=Tokens(1000),
    salt=Salt(b"\x77" * 32),
    messages=(Message("user", "Grüße 👋", 1_700_000_000_000), Message("assistant", "Hi\n", 5)),
)
ENTRY = IndexEntry(0, DELTA.proof_hash, "bDelta", "bProof", Tokens(0), Tokens(1000), 9, True)


def sealed_delta() -> SealedDelta:
    plaintext = delta.plaintext(delta.sign(DELTA, HOST_KEY))
    sealed = seal(plaintext, RECOVERY, ephemeral=b"\x09" * 32, nonce=b"\x0a" * 24)
    return delta.sign_sealed(sealed, RECOVERY, HOST_KEY)


@pytest.mark.parametrize("vector", VECTORS["delta"])
def test_sealing_reproduces_the_existing_client(vector: dict[str, Any]) -> None:
    recipient = PublicKeyBytes.of(bytes.fromhex(vector["userPrivateKey"]))
    ephemeral = bytes.fromhex(vector["ephemeralPrivateKey"])
    plaintext = vector["plaintext"].encode()
    sealed = seal(plaintext, recipient, ephemeral=ephemeral, nonce=bytes.fromhex(vector["nonce"]))
    assert sealing_key(ephemeral, recipient).hex() == vector["key"]
    assert sealed.ephemeral_key.value.hex() == vector["ephemeralPublicKey"]
    assert sealed.ciphertext.hex() == vector["ciphertext"]
    assert unseal(sealed, bytes.fromhex(vector["userPrivateKey"])) == plaintext


@pytest.mark.parametrize("vector", VECTORS["delta"])
def test_a_delta_of_the_existing_client_is_read(vector: dict[str, Any]) -> None:
    fields = json.loads(vector["plaintext"])
    fields.setdefault("hostSignature", "0x" + "11" * 64 + "1b")
    if len(fields["hostSignature"]) != 132:
        fields["hostSignature"] = "0x" + "11" * 64 + "1b"
    read = delta.decode(json.dumps(fields).encode())
    assert isinstance(read, SignedDelta)
    assert read.delta.session_id == int(fields["sessionId"])
    assert read.delta.messages[0].content == fields["messages"][0]["content"]
    assert read.delta.salt.is_zero


def test_signatures_are_those_of_wallets() -> None:
    message = canonical.compact([message.to_json() for message in DELTA.messages])
    theirs = Account.sign_message(encode_defunct(message), HOST_KEY)
    signed = delta.sign(DELTA, HOST_KEY)
    assert signed.signature.value == bytes(theirs.signature)
    assert signed.signer() == HOST
    assert signer(personal_digest(b"x"), sign(personal_digest(b"x"), HOST_KEY)) == HOST


def test_a_delta_is_published_with_every_field_the_client_asks_for() -> None:
    fields = json.loads(delta.encode(delta.sign(DELTA, HOST_KEY)))
    assert fields["sessionId"] == "7"
    assert (fields["checkpointIndex"], fields["startToken"], fields["endToken"]) == (0, 0, 1000)
    assert fields["proofHash"] == "0x" + "11" * 32
    assert fields["messages"][0] == {
        "role": "user",
        "content": "Grüße 👋",
        "timestamp": 1_700_000_000_000,
    }
    assert len(fields["hostSignature"]) == 132
    assert list(fields) == sorted(fields)


def test_a_sealed_delta_is_published_with_every_field_the_client_asks_for() -> None:
    fields = json.loads(delta.encode(sealed_delta()))
    assert fields["encrypted"] is True
    assert fields["version"] == 1
    assert fields["userRecoveryPubKey"] == str(RECOVERY)
    assert len(fields["ephemeralPublicKey"]) == 68
    assert len(fields["nonce"]) == 48
    assert not fields["ciphertext"].startswith("0x")
    assert "Grüße" not in json.dumps(fields, ensure_ascii=False)


def test_deltas_are_read_back_as_they_were() -> None:
    signed = delta.sign(DELTA, HOST_KEY)
    assert delta.decode(delta.encode(signed)) == signed
    sealed = sealed_delta()
    read = delta.decode(delta.encode(sealed))
    assert read == sealed
    assert isinstance(read, SealedDelta)
    assert read.signer() == HOST
    assert read.open(CLIENT_KEY) == signed


def test_only_the_recovery_key_opens_a_sealed_delta() -> None:
    with pytest.raises(SealBroken):
        sealed_delta().open(HOST_KEY)


@given(st.integers(0, 10**6))
def test_a_changed_ciphertext_is_not_opened(at: int) -> None:
    sealed = sealed_delta()
    changed = bytearray(sealed.sealed.ciphertext)
    changed[at % len(changed)] ^= 1
    broken = replace(sealed, sealed=replace(sealed.sealed, ciphertext=bytes(changed)))
    with pytest.raises(SealBroken):
        broken.open(CLIENT_KEY)
    assert broken.signer() != HOST


def test_the_digest_is_of_the_content_and_the_salt_alone() -> None:
    digest = DELTA.digest()
    assert DELTA.with_proof(ProofHash(b"\x99" * 32)).digest() == digest
    changes: list[dict[str, object]] = [
        {"session_id": 8},
        {"checkpoint": 1},
        {"tokens_before": Tokens(1)},
        {"tokens_after": Tokens(1001)},
        {"salt": Salt(b"\x78" * 32)},
        {"messages": DELTA.messages[:1]},
        {"messages": (replace(DELTA.messages[0], partial=True), DELTA.messages[1])},
    ]
    others = {replace(DELTA, **change).digest() for change in changes}  # type: ignore[arg-type]
    assert len(others | {digest}) == len(changes) + 1


@given(st.binary(max_size=300))
def test_other_bytes_are_no_delta_and_no_index(data: bytes) -> None:
    with pytest.raises(DeltaFormatError):
        delta.decode(data)
    with pytest.raises(IndexFormatError):
        index.decode(data)


@pytest.mark.parametrize("name", ["sessionId", "messages", "proofHash", "hostSignature"])
@pytest.mark.parametrize("value", [None, 7, "x", []])
def test_a_delta_with_a_field_of_another_type_is_refused(name: str, value: object) -> None:
    fields = json.loads(delta.encode(delta.sign(DELTA, HOST_KEY)))
    if name == "messages" and value == []:
        value = [{"role": "robot"}]
    fields[name] = value
    with pytest.raises(DeltaFormatError):
        delta.decode(json.dumps(fields).encode())


@pytest.mark.parametrize("name", ["nonce", "ciphertext", "ephemeralPublicKey", "version"])
def test_a_sealed_delta_with_a_broken_field_is_refused(name: str) -> None:
    fields = json.loads(delta.encode(sealed_delta()))
    fields[name] = "zz" if name != "version" else 2
    with pytest.raises(DeltaFormatError):
        delta.decode(json.dumps(fields).encode())


def test_a_partial_answer_goes_on_in_the_next_delta() -> None:
    first = replace(
        DELTA,
        messages=(Message("user", "Tell me", 1), Message("assistant", "Once ", 2, partial=True)),
    )
    second = replace(
        DELTA, checkpoint=1, messages=(Message("assistant", "upon", 3), Message("user", "And?", 4))
    )
    assert [message.content for message in delta.merge([second, first])] == [
        "Tell me",
        "Once upon",
        "And?",
    ]


def test_a_partial_answer_is_not_joined_over_a_lost_checkpoint() -> None:
    first = replace(DELTA, messages=(Message("assistant", "You must not ", 2, partial=True),))
    third = replace(DELTA, checkpoint=2, messages=(Message("assistant", "take it.", 3),))
    assert [message.content for message in delta.merge([first, third])] == [
        "You must not ",
        "take it.",
    ]
    later = replace(DELTA, checkpoint=1, messages=(Message("assistant", "a", 2, partial=True),))
    assert len(delta.merge([later])) == 1


def test_an_index_is_published_with_both_spellings_and_three_signatures() -> None:
    signed = index.sign(
        CheckpointIndex(7, HOST).with_entry(ENTRY), sealed_delta().signature, HOST_KEY
    )
    fields = json.loads(signed.encode())
    assert fields["sessionId"] == "7"
    assert fields["hostAddress"] == str(HOST).lower()
    (entry,) = fields["checkpoints"]
    assert entry["deltaCid"] == entry["deltaCID"] == "bDelta"
    assert entry["tokenRange"] == [0, 1000]
    assert entry["encrypted"] is True
    message = canonical.compact(fields["checkpoints"])
    recovered = Account.recover_message(encode_defunct(message), signature=fields["hostSignature"])
    assert Address.from_hex(recovered) == HOST == signed.signer()
    assert fields["checkpointsSignature"] == fields["hostSignature"]
    assert fields["messagesSignature"] == str(sealed_delta().signature)
    assert index.decode(signed.encode()) == signed


def test_an_index_takes_only_the_next_checkpoint_and_forgets_none() -> None:
    second = replace(ENTRY, checkpoint=1, tokens_before=Tokens(1000), tokens_after=Tokens(1500))
    whole = CheckpointIndex(7, HOST).with_entry(ENTRY).with_entry(second)
    assert whole.with_entry(replace(ENTRY, timestamp_ms=10)) == whole
    for wrong in (
        replace(ENTRY, delta_cid="bOther"),
        replace(second, proof_hash=ProofHash.zero()),
        replace(second, checkpoint=3),
        replace(second, checkpoint=2, tokens_before=Tokens(1499)),
    ):
        with pytest.raises(IndexConflict):
            whole.with_entry(wrong)


def test_what_has_no_canonical_json_is_refused() -> None:
    for value in (float("nan"), "\ud800", b"bytes"):
        with pytest.raises(ValueOutOfRange):
            canonical.compact({"a": value})
    assert canonical.compact({"b": [1, {"d": 1, "c": "é/\u2028"}], "a": None}) == (
        '{"a":null,"b":[1,{"c":"é/\u2028","d":1}]}'.encode()
    )


def test_a_key_that_is_no_point_cannot_be_sealed_for() -> None:
    with pytest.raises(ValueOutOfRange):
        seal(b"", PublicKeyBytes(b"\x02" + b"\xff" * 32), ephemeral=b"\x01" * 32, nonce=b"\0" * 24)
    with pytest.raises(SealBroken):
        unseal(Sealed(PublicKeyBytes(b"\x05" * 33), b"\0" * 24, b"\0" * 16), CLIENT_KEY)
