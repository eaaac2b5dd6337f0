"""The node record: one spelling, signed by its host, good for a time."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol import node_record
from platformless.protocol.digests import ModelId
from platformless.protocol.errors import NodeRecordRefused, ProtocolError
from platformless.protocol.node_record import (
    CLOCK_SKEW_SECONDS,
    MAX_LIFETIME_SECONDS,
    MAX_MODELS,
    MAX_RECORD_BYTES,
    SignedNodeRecord,
    decode,
    signed,
)
from platformless.protocol.signatures import Signature

from .records import KEY, MODEL, OTHER_KEY, OTHER_MODEL, PEER, RECORD, THEN

VECTOR = (
    b'{"apiUrl":"https://host.example:8080","chainId":84532,"expiresAt":1800001800,'
    b'"format":"platformless-node-record/1",'
    b'"host":"0x4a62316623ad457f02cdc5d997ded67a383ec569","issuedAt":1800000000,'
    b'"marketplace":"0x1111111111111111111111111111111111111111",'
    b'"models":["0xabababababababababababababababababababababababababababababababab",'
    b'"0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"],'
    b'"peerId":"12D3KooWGKzrxbDE7ahtnS4yiY6HAitkuPXxUcktFbKYdZqufbMn",'
    b'"signature":"0x57e39788334455b80a8f6c7af0ed396e6135936560a6ae5e5bebe18c1783a81553'
    b'56dfafa776a1b9b030c176438266a7de39cfa70ae922fcf78f910700f873991c"}'
)


def test_the_vector_of_the_layout() -> None:
    whole = signed(RECORD, KEY)
    assert whole.encode() == VECTOR
    assert decode(VECTOR) == whole
    whole.require_current(THEN + 1)


def test_the_signed_text_is_the_record_without_its_signature() -> None:
    fields = json.loads(VECTOR)
    del fields["signature"]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert RECORD.signing_text() == text


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 1},
        {"marketplace": OTHER_KEY.address},
        {"host": OTHER_KEY.address},
        {"api_url": "https://thief.example"},
        {"models": (MODEL,)},
        {"peer_id": PEER[:-1] + "m"},
        {"issued_at": THEN + 1},
        {"expires_at": THEN + 1801},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_field_is_under_the_signature(changes: dict[str, Any]) -> None:
    forged = SignedNodeRecord(replace(RECORD, **changes), signed(RECORD, KEY).signature)
    with pytest.raises(NodeRecordRefused, match="not signed by its host"):
        decode(forged.encode()).require_current(THEN + 10)


@given(st.integers(0, 519), st.integers(0, 7))
def test_no_bit_of_the_signature_may_change(at: int, bit: int) -> None:
    data = bytearray(signed(RECORD, KEY).signature.value)
    data[at // 8] ^= 1 << bit
    forged = SignedNodeRecord(RECORD, Signature(bytes(data)))
    with pytest.raises(ProtocolError):
        forged.require_current(THEN)


def test_a_host_signs_only_for_itself() -> None:
    with pytest.raises(NodeRecordRefused, match="another host's"):
        signed(RECORD, OTHER_KEY)


def test_a_record_counts_from_its_issue_until_its_expiry() -> None:
    whole = signed(RECORD, KEY)
    for now in (THEN - CLOCK_SKEW_SECONDS, THEN, THEN + 1799):
        whole.require_current(now)
    with pytest.raises(NodeRecordRefused, match="expired"):
        whole.require_current(THEN + 1800)
    with pytest.raises(NodeRecordRefused, match="future"):
        whole.require_current(THEN - CLOCK_SKEW_SECONDS - 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ()},
        {"models": (OTHER_MODEL, MODEL)},
        {"models": (MODEL, MODEL)},
        {"models": tuple(ModelId(bytes([0, n]) + bytes(30)) for n in range(MAX_MODELS + 1))},
        {"expires_at": THEN},
        {"expires_at": THEN + MAX_LIFETIME_SECONDS + 1},
        {"issued_at": -1},
        {"chain_id": 2**64},
        {"peer_id": ""},
        {"peer_id": "l" * 40},
        {"api_url": "ftp://host.example"},
        {"api_url": "https://"},
        {"api_url": "https://user:word@host.example"},
        {"api_url": "https://host.example/ x"},
        {"api_url": "https://host.example:99999"},
        {"api_url": "https://höst.example"},
        {"api_url": "https://host.example/" + "x" * 1024},
    ],
    ids=lambda changes: f"{next(iter(changes))}",
)
def test_what_cannot_stand_in_a_record_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        replace(RECORD, **changes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[" * 10_000,
        VECTOR + b" ",
        VECTOR.replace(b'"chainId":84532', b'"chainId":84532,"more":1'),
        VECTOR.replace(b'"chainId":84532', b'"chainId":84532,"chainId":84532'),
        VECTOR.replace(b'"chainId":84532', b'"chainId": 84532'),
        VECTOR.replace(b"record/1", b"record/2"),
        VECTOR.replace(b"0xabab", b"0xABab"),
        VECTOR.replace(b"platformless-node-record/1", b"\\ud800"),
        VECTOR[:-2],
        b" " * (MAX_RECORD_BYTES + 1),
    ],
)
def test_only_the_one_spelling_is_read(data: bytes) -> None:
    with pytest.raises(NodeRecordRefused):
        decode(data)


@given(st.binary(max_size=300))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(NodeRecordRefused):
        decode(data)


@given(st.integers(0, len(VECTOR) - 1), st.integers(0, 255))
def test_no_byte_of_a_record_may_change(at: int, byte: int) -> None:
    changed = VECTOR[:at] + bytes([byte]) + VECTOR[at + 1 :]
    if changed == VECTOR:
        return
    with pytest.raises(ProtocolError):
        decode(changed).require_current(THEN)


def test_the_longest_record_fits() -> None:
    models = tuple(ModelId(bytes([0, n]) + bytes(30)) for n in range(MAX_MODELS))
    url = "https://host.example/" + "x" * 1000
    whole = signed(replace(RECORD, models=models, api_url=url), KEY)
    assert node_record.decode(whole.encode()) == whole
