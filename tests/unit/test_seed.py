"""Both sides make the seed."""

from __future__ import annotations

import hashlib

from platformless.protocol.seed import SeedPart, seed_commitment, session_seed

HOST, CLIENT = SeedPart(b"\x01" * 32), SeedPart(b"\x02" * 32)


def tagged(tag: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(b"platformless-ai/v1/" + tag.ljust(45, b"\0") + payload).digest()


def test_the_seed_hashes_both_parts_in_order() -> None:
    assert session_seed(HOST, CLIENT).value == tagged(b"seed", HOST.value + CLIENT.value)
    assert session_seed(CLIENT, HOST) != session_seed(HOST, CLIENT)


def test_the_commitment_hashes_the_hosts_part() -> None:
    assert seed_commitment(HOST).value == tagged(b"seed-commitment", HOST.value)
