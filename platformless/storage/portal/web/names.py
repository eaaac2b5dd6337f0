"""How requests name blobs and bytes."""

from __future__ import annotations

import base64
import binascii

from ...cids import MULTIHASH_BYTES, BlobHash, BlobId
from ..errors import BadRequest

_HASH_TEXTS = {43, 44}  # 32 and 33 bytes in base64url


def blob_of(text: str) -> BlobHash:
    """The blob that the last part of an address names: any spelling of `BlobId`, with or without
    an extension after a dot, or the bare hash or multihash in base64url.

    Raises:
        CidError
    """
    name = text.partition(".")[0]
    if len(name) in _HASH_TEXTS:
        data = from_base64url(name)
        if len(data) == MULTIHASH_BYTES:
            return BlobHash.from_multihash(data)
        return BlobHash(data)
    return BlobId.parse(name).hash


def to_base64url(data: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """With or without padding.

    Raises:
        BadRequest
    """
    digits = text.rstrip("=")
    try:
        data = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except (binascii.Error, ValueError):
        data = b""
    if to_base64url(data) != digits:  # the decoder skips what it does not know
        raise BadRequest("not base64url", got=repr(text[:80]))
    return data
