"""Sample proofs in a session's index: written, read, signed, and never exchanged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol import index as indexes
from platformless.protocol.digests import Address, ProofHash
from platformless.protocol.errors import IndexConflict, IndexFormatError
from platformless.protocol.host_key import LocalKey
from platformless.protocol.index import CheckpointIndex, IndexEntry, PublishedSample
from platformless.protocol.signatures import Signature
from platformless.protocol.transcript import Tokens

from ..strategies import bytes32

HOST_KEY = b"\x07" * 32
HOST = LocalKey(HOST_KEY).address
NEWEST = Signature(b"\x01" * 65)
SAMPLE = PublishedSample(ProofHash(b"\x0a" * 32), "blobb-sample")
OTHER = replace(SAMPLE, proof_hash=ProofHash(b"\x0b" * 32))


def entry(number: int, sample: PublishedSample | None = None) -> IndexEntry:
    return IndexEntry(
        checkpoint=number,
        proof_hash=ProofHash(bytes([number]) * 32),
        delta_cid=f"blobb-delta-{number}",
        proof_cid=f"blobb-proof-{number}",
        tokens_before=Tokens(100 * number),
        tokens_after=Tokens(100 * number + 100),
        timestamp_ms=number,
        sealed=number % 2 == 0,
        sample=sample,
    )


def index(*samples: PublishedSample | None) -> CheckpointIndex:
    found = CheckpointIndex(7, HOST)
    for number, sample in enumerate(samples):
        found = found.with_entry(entry(number, sample))
    return found


samples = st.builds(
    PublishedSample, bytes32.map(ProofHash), st.text("abcdef0123456789", min_size=1, max_size=60)
)


@given(st.lists(st.none() | samples, max_size=4))
def test_an_index_with_samples_is_read_back(of: list[PublishedSample | None]) -> None:
    signed = indexes.sign(index(*of), NEWEST, HOST_KEY)
    again = indexes.decode(signed.encode())
    assert again == signed
    assert again.signer() == HOST
    assert [entry.sample for entry in again.index.entries] == of


def test_an_index_without_samples_has_the_bytes_that_it_always_had() -> None:
    assert b"sample" not in indexes.sign(index(None, None), NEWEST, HOST_KEY).encode()


def test_readers_of_either_spelling_find_a_sample() -> None:
    (written,) = json.loads(indexes.sign(index(SAMPLE), NEWEST, HOST_KEY).encode())["checkpoints"]
    assert written["sampleProofHash"] == str(SAMPLE.proof_hash)
    assert written["sampleProofCid"] == written["sampleProofCID"] == SAMPLE.cid


def test_the_hosts_signature_is_over_the_samples_too() -> None:
    honest = indexes.sign(index(SAMPLE, None), NEWEST, HOST_KEY)
    for forged in (index(OTHER, None), index(None, None), index(SAMPLE, SAMPLE)):
        assert replace(honest, index=forged).signer() != HOST


@pytest.mark.parametrize("field", ["sampleProofHash", "sampleProofCid"])
def test_half_a_sample_is_no_index(field: str) -> None:
    written = json.loads(indexes.sign(index(SAMPLE), NEWEST, HOST_KEY).encode())
    del written["checkpoints"][0][field]
    with pytest.raises(IndexFormatError, match="alone"):
        indexes.decode(json.dumps(written).encode())


def test_the_newest_sample_of_a_checkpoint_stands() -> None:
    before = index(None, None)
    grown = before.with_sample(1, SAMPLE)
    assert grown == index(None, SAMPLE)
    assert grown.with_sample(1, SAMPLE) is grown
    assert grown.with_sample(1, OTHER) == index(None, OTHER)
    assert grown.with_sample(0, OTHER) == index(OTHER, SAMPLE)


@pytest.mark.parametrize("number", [-1, 2, 10**9])
def test_a_checkpoint_that_is_not_there_gets_no_sample(number: int) -> None:
    with pytest.raises(IndexConflict, match="not there"):
        index(SAMPLE, SAMPLE).with_sample(number, SAMPLE)


def test_a_checkpoint_is_the_same_one_with_a_sample_and_without() -> None:
    assert entry(0, SAMPLE).is_same_checkpoint(entry(0))
    assert entry(0).is_same_checkpoint(replace(entry(0, SAMPLE), timestamp_ms=9))
    assert not entry(0, SAMPLE).is_same_checkpoint(replace(entry(0), proof_cid="another"))
    grown = index(SAMPLE)
    assert grown.with_entry(entry(0)) is grown  # published again, it keeps its sample


def test_the_hosts_address_is_not_what_signs() -> None:
    signed = indexes.sign(index(SAMPLE), NEWEST, HOST_KEY)
    foreign = replace(signed.index, host=Address(b"\x22" * 20))
    assert replace(signed, index=foreign).signer() == HOST
