"""Digests and identifiers of 32 and 20 bytes, each of its own type, and the hash they come from.

A hash of the protocol is SHA-256 over a 64-byte block (an ASCII tag, then zeros) followed by the
payload. Tags keep the inputs of different hashes apart; a whole block makes the tag free inside
the guest, where the state of SHA-256 after it is a constant (docs/formats.md, "Hashes").
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Self

from eth_hash.auto import keccak

from .errors import ValueOutOfRange

TAG_BYTES = 64


@dataclass(frozen=True, slots=True)
class FixedBytes:
    """Bytes of a fixed length and a known meaning. Values of different types are never equal."""

    value: bytes
    LENGTH: ClassVar[int] = 32

    def __post_init__(self) -> None:
        if not isinstance(self.value, bytes) or len(self.value) != self.LENGTH:
            got = len(self.value) if isinstance(self.value, bytes) else type(self.value).__name__
            raise ValueOutOfRange(
                f"{type(self).__name__} of a wrong length",
                expected=f"{self.LENGTH} bytes",
                got=got,
            )

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Reads hex digits, with or without `0x`."""
        digits = text[2:] if text[:2] in ("0x", "0X") else text
        try:
            return cls(bytes.fromhex(digits))
        except ValueError:
            raise ValueOutOfRange(
                f"{cls.__name__} is not hexadecimal",
                expected=f"{2 * cls.LENGTH} hex digits",
                got=repr(text[:80]),
            ) from None

    @classmethod
    def zero(cls) -> Self:
        return cls(bytes(cls.LENGTH))

    @property
    def is_zero(self) -> bool:
        return not any(self.value)

    def __str__(self) -> str:
        return "0x" + self.value.hex()


class HeaderDigest(FixedBytes):
    """Digest of a session header."""


class StateDigest(FixedBytes):
    """A state: the running commitment to a transcript."""


class EntryDigest(FixedBytes):
    """Digest of one entry of a transcript."""


class DeltaDigest(FixedBytes):
    """Content digest of a published delta; zero when there is none."""


class TraceRoot(FixedBytes):
    """Merkle root of a trace; zero when the checkpoint was not traced."""


class WeightsRoot(FixedBytes):
    """Merkle root of a model's weights; zero when the header commits to none."""


class ModelId(FixedBytes):
    """The model's name on chain: keccak-256 of `repository/file`."""


class ImageId(FixedBytes):
    """Digest of a guest program."""


class Seed(FixedBytes):
    """The session's seed for sampling; zero when it records none."""


class Salt(FixedBytes):
    """Random bytes that keep short transcripts from being guessed from public digests."""


class ProofHash(FixedBytes):
    """SHA-256 of the bytes of a bundle, the proof's name on chain."""

    @classmethod
    def of(cls, bundle: bytes) -> Self:
        return cls(hashlib.sha256(bundle).digest())


class Address(FixedBytes):
    """An Ethereum address; prints with the checksum of EIP-55."""

    LENGTH = 20

    def __str__(self) -> str:
        digits = self.value.hex()
        mask = keccak256(digits.encode()).hex()
        cased = (d.upper() if m >= "8" else d for d, m in zip(digits, mask, strict=False))
        return "0x" + "".join(cased)


def keccak256(data: bytes) -> bytes:
    """Ethereum's hash; not SHA3-256."""
    return bytes(keccak(data))


def tag_block(tag: str) -> bytes:
    """The 64 bytes that stand before the payload of a hash of kind `tag`."""
    return f"platformless-ai/v1/{tag}".encode("ascii").ljust(TAG_BYTES, b"\0")


def tagged_sha256(tag: str, payload: bytes) -> bytes:
    """SHA-256 over the tag block and the payload."""
    return hashlib.sha256(tag_block(tag) + payload).digest()
