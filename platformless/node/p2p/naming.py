"""Names in the DHT: a model's key, a peer's id.

A model's id is a keccak-256 digest already, so that its multihash is the id itself behind two
bytes. Providers are announced under it; the CID (version 1, raw) is how other tools ask for it.
"""

from __future__ import annotations

import base64

from ...protocol.digests import ModelId

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_KECCAK_256 = bytes([0x1B, 32])
_CID_1_RAW = bytes([0x01, 0x55])
_IDENTITY_36 = bytes([0x00, 36])
_ED25519_KEY = bytes([0x08, 0x01, 0x12, 32])
"""Protobuf: type 1, then 32 bytes."""
MODEL_KEY_BYTES = len(_KECCAK_256) + ModelId.LENGTH


def model_key(model: ModelId) -> bytes:
    """The multihash that providers of a model are announced under, 34 bytes."""
    return _KECCAK_256 + model.value


def is_model_key(key: bytes) -> bool:
    return len(key) == MODEL_KEY_BYTES and key.startswith(_KECCAK_256)


def model_cid(model: ModelId) -> str:
    """The same in base32, `b…`."""
    encoded = base64.b32encode(_CID_1_RAW + model_key(model)).decode()
    return "b" + encoded.lower().rstrip("=")


def peer_id(public_key: bytes) -> str:
    """A peer's id from its Ed25519 key, 32 bytes: the key itself, as an identity multihash."""
    return base58(_IDENTITY_36 + _ED25519_KEY + public_key)


def base58(data: bytes) -> str:
    """Bitcoin's alphabet; a zero byte in front is a `1`."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(_BASE58))
        digits = _BASE58[digit] + digits
    return _BASE58[0] * (len(data) - len(data.lstrip(b"\0"))) + digits
