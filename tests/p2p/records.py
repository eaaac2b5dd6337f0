"""Records of made-up hosts."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from platformless.chain.networks import BASE_SEPOLIA
from platformless.node.p2p.identity import kept_identity
from platformless.node.p2p.record_file import leave
from platformless.protocol import node_record
from platformless.protocol.digests import Address, ModelId
from platformless.protocol.host_key import LocalKey
from platformless.protocol.node_record import NodeRecord, SignedNodeRecord

KEY = LocalKey(b"\x07" * 32)
OTHER_KEY = LocalKey(b"\x08" * 32)
MODEL = ModelId(b"\xab" * 32)
OTHER_MODEL = ModelId(b"\xcd" * 32)
PEER = "12D3KooWGKzrxbDE7ahtnS4yiY6HAitkuPXxUcktFbKYdZqufbMn"
THEN = 1_800_000_000

RECORD = NodeRecord(
    chain_id=84532,
    marketplace=Address(b"\x11" * 20),
    host=KEY.address,
    api_url="https://host.example:8080",
    models=(MODEL, OTHER_MODEL),
    peer_id=PEER,
    issued_at=THEN,
    expires_at=THEN + 1800,
)


def record_of(peer_id: str, key: LocalKey = KEY, **changes: Any) -> SignedNodeRecord:
    """A record of now, on Base Sepolia."""
    now = int(time.time())
    record = replace(
        RECORD,
        chain_id=BASE_SEPOLIA.chain_id,
        marketplace=BASE_SEPOLIA.marketplace,
        host=key.address,
        peer_id=peer_id,
        issued_at=now,
        expires_at=now + 600,
    )
    return node_record.signed(replace(record, **changes), key)


def leave_record(folder: Path, key: LocalKey = KEY, **changes: Any) -> SignedNodeRecord:
    """What a node would leave in its data folder."""
    signed = record_of(kept_identity(folder).peer_id, key, **changes)
    leave(folder, signed)
    return signed
