"""What a host tells of itself in the registry: JSON by convention, written by the host."""

from __future__ import annotations

import msgspec
from coincurve import PublicKey
from msgspec import Struct

from ..decoding import decode_json
from ..protocol.digests import Address
from ..protocol.errors import ProtocolError
from ..protocol.secrecy import PublicKeyBytes
from ..protocol.signatures import address_of_key

_LONGEST_METADATA = 64 << 10


def key_in_metadata(metadata: str, address: Address) -> PublicKeyBytes | None:
    """The `publicKey` of a host's metadata; None when there is none, or it is not this host's."""
    key = named_key(metadata)
    return key if key is not None and owner(key) == address else None


def named_key(metadata: str) -> PublicKeyBytes | None:
    """The `publicKey`, whosever it is; None when there is none."""
    if len(metadata) > _LONGEST_METADATA:
        return None
    try:
        fields = decode_json(metadata, _Metadata)
        return PublicKeyBytes.from_hex(fields.publicKey)
    except (msgspec.MsgspecError, RecursionError, ProtocolError):
        return None


def owner(key: PublicKeyBytes) -> Address | None:
    """The account of a key; None when it is no key of secp256k1."""
    try:
        return address_of_key(PublicKey(key.value))
    except ValueError:
        return None


class _Metadata(Struct, frozen=True):
    """Of a text that anyone may write: the rest is passed over, not built."""

    publicKey: str  # noqa: N815
