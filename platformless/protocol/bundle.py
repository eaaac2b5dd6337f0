"""The bundle: the one file that a stranger needs to check a proof.

Magic bytes, then MessagePack of a map with fixed keys in fixed order. There is exactly one
encoding of a bundle: whatever does not come out again byte for byte is refused, so its SHA-256,
the proof's name on chain, names one content (docs/formats.md, "Bundle").
"""

from __future__ import annotations

from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct

from ..decoding import decode_msgpack
from .acknowledgement import AcknowledgementSignature
from .digests import ImageId, ProofHash
from .errors import BundleFormatError

MAGIC = b"PLAIPRF\x00"
FORMAT_VERSION = 1
MAX_BUNDLE_BYTES = 64 << 20
"""A composite receipt grows by about 250 kB a segment; this is room for 250 segments."""

_Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Bundle(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Header, claim and receipt of one proof."""

    format: Annotated[int, Meta(ge=0, le=2**32 - 1)] = FORMAT_VERSION
    claim_kind: Annotated[str, Meta(max_length=32)]
    """Kind of claim; `session` here."""
    assurance: Annotated[str, Meta(max_length=32)]
    """What the claim guarantees: `accounting` for a `session` claim."""
    image_id: _Bytes32
    """Guest that was proven."""
    zkvm: Annotated[str, Meta(max_length=64)]
    """Name and version of the proof system."""
    verifier_parameters: _Bytes32
    """Digest of the parameters with which the receipt verifies."""
    receipt_kind: Annotated[str, Meta(max_length=32)]
    journal: Annotated[bytes, Meta(max_length=1 << 16)]
    """The claim's bytes."""
    receipt: Annotated[bytes, Meta(max_length=MAX_BUNDLE_BYTES)]
    """RISC Zero's `InnerReceipt`, bincode."""
    acknowledgement: Annotated[bytes, Meta(min_length=65, max_length=65)] | None = None
    """The client's signature, when it gave one."""

    def encode(self) -> bytes:
        return MAGIC + msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Reads a bundle.

        Raises:
            BundleFormatError: for anything but the one encoding of a bundle of this version.
        """
        if len(data) > MAX_BUNDLE_BYTES:
            raise BundleFormatError(
                "bundle too large", expected=f"at most {MAX_BUNDLE_BYTES} bytes", got=len(data)
            )
        if not data.startswith(MAGIC):
            raise BundleFormatError(
                "not a proof bundle", expected=MAGIC.hex(), got=data[: len(MAGIC)].hex()
            )
        body = memoryview(data)[len(MAGIC) :]
        try:
            version = decode_msgpack(body, _Version).format
            if version != FORMAT_VERSION:
                raise BundleFormatError(
                    "bundle of another format version", expected=FORMAT_VERSION, got=version
                )
            bundle = decode_msgpack(body, cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BundleFormatError("bundle does not decode", got=str(error)) from error
        if bundle.encode() != data:
            raise BundleFormatError("bundle is not in canonical form")
        return bundle

    @property
    def image(self) -> ImageId:
        return ImageId(self.image_id)

    @property
    def proof_hash(self) -> ProofHash:
        """SHA-256 of the file, the `proofHash` on chain."""
        return ProofHash.of(self.encode())

    @property
    def acknowledgement_signature(self) -> AcknowledgementSignature | None:
        return AcknowledgementSignature(self.acknowledgement) if self.acknowledgement else None


class _Version(Struct):
    format: int
