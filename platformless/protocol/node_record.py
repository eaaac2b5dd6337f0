"""What a host says of its node to whoever looks for one: signed, and good for a short time.

A node in the DHT proves which peer it is, not which host. The record joins both: the host's account
signs (EIP-191) the peer, the URL and the models, so that nobody announces another host's. It is
canonical JSON, and only that spelling is read (docs/formats.md, "Node record").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ..decoding import decode_json
from . import canonical, signatures
from .digests import Address, ModelId
from .errors import NodeRecordRefused, ProtocolError
from .host_key import HostKey
from .signatures import Signature
from .words import U64_MAX, in_range

FORMAT = "platformless-node-record/1"
MAX_RECORD_BYTES = 16_384
MAX_MODELS = 128
MAX_LIFETIME_SECONDS = 86_400
CLOCK_SKEW_SECONDS = 120
"""A record may be so much younger than the reader's clock says it can be."""

_MAX_URL_CHARACTERS = 1024
_PEER_ID = re.compile("[1-9A-HJ-NP-Za-km-z]{32,128}")
_URL_CHARACTERS = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A host's node, as its host describes it.

    Raises:
        NodeRecordRefused: when the fields cannot stand in a record.
    """

    chain_id: int
    marketplace: Address
    host: Address
    api_url: str
    models: tuple[ModelId, ...]
    """In ascending order, each once."""
    peer_id: str
    """In base58, as libp2p prints it."""
    issued_at: int
    """Unix time in seconds."""
    expires_at: int
    """Unix time in seconds from which it counts no more."""

    def __post_init__(self) -> None:
        for name, value in (
            ("chain id", self.chain_id),
            ("issue", self.issued_at),
            ("expiry", self.expires_at),
        ):
            in_range(name, value, U64_MAX)
        if not 0 < self.expires_at - self.issued_at <= MAX_LIFETIME_SECONDS:
            raise NodeRecordRefused(
                "a lifetime that no record has",
                expected=f"1 to {MAX_LIFETIME_SECONDS} seconds",
                got=self.expires_at - self.issued_at,
            )
        values = [model.value for model in self.models]
        if not 0 < len(values) <= MAX_MODELS or values != sorted(set(values)):
            raise NodeRecordRefused(
                "models that are not a list in order",
                expected=f"1 to {MAX_MODELS} ids, ascending, each once",
                got=f"{len(values)} ids",
            )
        if not _PEER_ID.fullmatch(self.peer_id):
            raise NodeRecordRefused("no peer id", expected="base58", got=repr(self.peer_id[:80]))
        _require_url(self.api_url)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "chainId": self.chain_id,
            "marketplace": str(self.marketplace).lower(),
            "host": str(self.host).lower(),
            "apiUrl": self.api_url,
            "models": [str(model) for model in self.models],
            "peerId": self.peer_id,
            "issuedAt": self.issued_at,
            "expiresAt": self.expires_at,
        }

    def signing_text(self) -> bytes:
        """What the host's account signs."""
        return canonical.compact(self.to_json())


@dataclass(frozen=True, slots=True)
class SignedNodeRecord:
    """A record with a signature, which `require_current` checks."""

    record: NodeRecord
    signature: Signature

    def encode(self) -> bytes:
        """The bytes that are kept and sent."""
        return canonical.compact({**self.record.to_json(), "signature": str(self.signature)})

    def require_current(self, now_seconds: float) -> None:
        """Checks the signature and the time.

        Raises:
            NodeRecordRefused: when another account signed it, or its time is not now.
            SignatureFormatError: when no account did.
        """
        signer = signatures.signer(
            signatures.personal_digest(self.record.signing_text()), self.signature
        )
        if signer != self.record.host:
            raise NodeRecordRefused(
                "the record is not signed by its host", expected=self.record.host, got=signer
            )
        if now_seconds >= self.record.expires_at:
            raise NodeRecordRefused(
                "the record has expired",
                expected=f"before {self.record.expires_at}",
                got=int(now_seconds),
            )
        if now_seconds + CLOCK_SKEW_SECONDS < self.record.issued_at:
            raise NodeRecordRefused(
                "the record is from the future",
                expected=f"not before {self.record.issued_at}",
                got=int(now_seconds),
            )


def signed(record: NodeRecord, key: HostKey) -> SignedNodeRecord:
    """Signs a record with the key of its host. May block.

    Raises:
        NodeRecordRefused: when the key is another host's, or the record is too long.
    """
    if key.address != record.host:
        raise NodeRecordRefused(
            "the record is another host's", expected=key.address, got=record.host
        )
    whole = SignedNodeRecord(record, key.sign_text(record.signing_text()))
    _require_size(whole.encode())
    return whole


def decode(data: bytes) -> SignedNodeRecord:
    """Reads a record; its signature and its time are not checked.

    Raises:
        NodeRecordRefused: when the bytes are not such a record, in its one spelling.
    """
    _require_size(data)
    try:
        fields = decode_json(data, _Fields)
        record = SignedNodeRecord(
            NodeRecord(
                chain_id=fields.chainId,
                marketplace=Address.from_hex(fields.marketplace),
                host=Address.from_hex(fields.host),
                api_url=fields.apiUrl,
                models=tuple(ModelId.from_hex(model) for model in fields.models),
                peer_id=fields.peerId,
                issued_at=fields.issuedAt,
                expires_at=fields.expiresAt,
            ),
            Signature.from_hex(fields.signature),
        )
        again = record.encode()
    except NodeRecordRefused:
        raise
    except (msgspec.MsgspecError, ProtocolError, ValueError, RecursionError) as error:
        raise NodeRecordRefused("not a node record", got=str(error)) from error
    if again != data:
        raise NodeRecordRefused("a node record in another spelling", expected="canonical JSON")
    return record


class _Fields(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    chainId: int  # noqa: N815
    marketplace: str
    host: str
    apiUrl: str  # noqa: N815
    models: list[str]
    peerId: str  # noqa: N815
    issuedAt: int  # noqa: N815
    expiresAt: int  # noqa: N815
    signature: str


def _require_size(data: bytes) -> None:
    if len(data) > MAX_RECORD_BYTES:
        raise NodeRecordRefused(
            "a node record that is too long",
            expected=f"at most {MAX_RECORD_BYTES} bytes",
            got=len(data),
        )


def _require_url(url: str) -> None:
    expected = f"http or https, a host, at most {_MAX_URL_CHARACTERS} ASCII characters"
    try:
        parts = urlsplit(url) if _URL_CHARACTERS.fullmatch(url) else None
        usable = (
            parts is not None
            and len(url) <= _MAX_URL_CHARACTERS
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0
        )
    except ValueError:
        usable = False
    if not usable:
        raise NodeRecordRefused("no URL of an API", expected=expected, got=repr(url[:80]))
