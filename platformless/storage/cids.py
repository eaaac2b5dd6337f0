"""Names of blobs in S5: the Blob Identifier of S5 v1 and the raw CID of its legacy portals.

    Blob Identifier   5b 82 ‖ multihash ‖ size      size without trailing zero bytes: 0 to 8
    legacy raw CID    26    ‖ multihash ‖ size      the same, but at least one byte
    multihash         1e, or 1f with legacy portals, ‖ BLAKE3-256

Sizes are little-endian. The bytes are written in one of four bases, named by the first character
of the text (multibase). Layouts: S5 specification, "Blobs"; lib5, "CID".

Two names of one blob may differ as texts: never compare or store texts, but `BlobId.hash`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from blake3 import blake3

from ..protocol.digests import FixedBytes
from ..protocol.errors import ValueOutOfRange
from ..protocol.words import U64_MAX
from .errors import (
    MalformedText,
    NotABlob,
    SizeTooLong,
    UnknownBase,
    UnknownHashTag,
    WrongLength,
)

Base = Literal["b", "f", "u", "z"]
"""base32, base16, base64url and base58btc, by the first character of the text."""

TAG_BLAKE3 = 0x1E
TAG_BLAKE3_LEGACY = 0x1F
MULTIHASH_BYTES = 33

_BLOB = b"\x5b\x82"
_LEGACY_RAW = b"\x26"
_SIZE_BYTES = 8
_LONGEST_TEXT = 512
_SCHEME = "s5://"
_BASE_NAMES: dict[Base, str] = {"b": "base32", "f": "base16", "u": "base64url", "z": "base58"}
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_OTHER_TAGS = {0x12: "SHA2-256"}
_OTHER_KINDS = {
    0x3A: "a bridge CID",
    0x59: "a legacy web app",
    0x5A: "a link to a registry entry's target",
    0x5B: "an S5 identifier, but not of a blob",
    0x5C: "a registry message",
    0x5D: "a legacy directory",
    0x5E: "an encrypted mutable CID",
    0xAE: "an encrypted CID, which carries a key",
    0xC5: "legacy media metadata",
    0xED: "an ed25519 public key, the name of a registry entry",
}


class BlobHash(FixedBytes):
    """BLAKE3-256 of a blob's bytes."""

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(blake3(data).digest())

    @classmethod
    def from_multihash(cls, data: bytes) -> Self:
        """Reads a tag, 1e or 1f, and 32 bytes.

        Raises:
            WrongLength, UnknownHashTag
        """
        if len(data) != MULTIHASH_BYTES:
            raise WrongLength(
                "a multihash of a wrong length",
                expected=f"{MULTIHASH_BYTES} bytes",
                got=len(data),
            )
        _check_tag(data[0])
        return cls(data[1:])

    def multihash(self, tag: int = TAG_BLAKE3) -> bytes:
        """The tag, 1e or 1f, and the hash: 33 bytes."""
        _check_tag(tag)
        return bytes([tag]) + self.value


@dataclass(frozen=True, slots=True)
class BlobId:
    """A blob by its hash and its length.

    Args:
        size: Bytes, less than 2^64.
    """

    hash: BlobHash
    size: int

    def __post_init__(self) -> None:
        if not 0 <= self.size <= U64_MAX:
            raise ValueOutOfRange("a blob's size", expected=f"0 to {U64_MAX} bytes", got=self.size)

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(BlobHash.of(data), len(data))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads every spelling of `spellings`, also with white space around it, with `s5://`
        before it, in capitals where the base has none, and with zero bytes after the size.

        Raises:
            UnknownBase, MalformedText, NotABlob, UnknownHashTag, WrongLength, SizeTooLong
        """
        stripped = text.strip()
        data = _decode_text(stripped[len(_SCHEME) :] if _has_scheme(stripped) else stripped)
        kind = _kind_of(data)
        multihash = data[len(kind) : len(kind) + MULTIHASH_BYTES]
        size = data[len(kind) + MULTIHASH_BYTES :]
        if len(multihash) < MULTIHASH_BYTES:
            raise WrongLength(
                "an identifier that ends inside its hash",
                expected=f"{len(kind) + MULTIHASH_BYTES} bytes and the size",
                got=f"{len(data)} bytes",
            )
        _check_tag(multihash[0])
        if len(size) > _SIZE_BYTES:
            raise SizeTooLong(
                "a size too long", expected=f"at most {_SIZE_BYTES} bytes", got=len(size)
            )
        return cls(BlobHash.from_multihash(multihash), int.from_bytes(size, "little"))

    def encode(self, base: Base = "b") -> str:
        """The Blob Identifier of S5 v1."""
        return _encode_text(base, _BLOB + self.multihash() + self._size())

    def legacy(self, base: Base = "z", tag: int = TAG_BLAKE3_LEGACY) -> str:
        """The raw CID of legacy portals, whose tag is 1f and which write base58."""
        return _encode_text(base, _LEGACY_RAW + self.multihash(tag) + (self._size() or b"\0"))

    def multihash(self, tag: int = TAG_BLAKE3) -> bytes:
        """The tag, 1e or 1f, and the hash: 33 bytes."""
        return self.hash.multihash(tag)

    def spellings(self) -> dict[str, str]:
        """Every text that names this blob, by the name of the spelling."""
        named = {f"v1-{name}": self.encode(base) for base, name in _BASE_NAMES.items()}
        for tag in (TAG_BLAKE3_LEGACY, TAG_BLAKE3):
            for base, name in _BASE_NAMES.items():
                named[f"legacy-{tag:02x}-{name}"] = self.legacy(base, tag)
        return named

    def __str__(self) -> str:
        return self.encode()

    def _size(self) -> bytes:
        return self.size.to_bytes(_SIZE_BYTES, "little").rstrip(b"\0")


def _has_scheme(text: str) -> bool:
    return text[: len(_SCHEME)].lower() == _SCHEME


def _check_tag(tag: int) -> None:
    if tag not in (TAG_BLAKE3, TAG_BLAKE3_LEGACY):
        known = f", {_OTHER_TAGS[tag]}" if tag in _OTHER_TAGS else ""
        raise UnknownHashTag(
            "not a hash of BLAKE3-256", expected="tag 1e or 1f", got=f"{tag:02x}{known}"
        )


def _kind_of(data: bytes) -> bytes:
    """The type bytes at the start of a blob's name."""
    for kind in (_BLOB, _LEGACY_RAW):
        if data.startswith(kind):
            return kind
    if not data:
        raise WrongLength("an identifier without bytes", expected="36 bytes or more", got=0)
    got = _OTHER_KINDS.get(data[0], "no known kind")
    raise NotABlob(
        "an identifier that is not a blob's",
        expected=f"type {_BLOB.hex()} or {_LEGACY_RAW.hex()}",
        got=f"{data[:2].hex()}, {got}",
    )


def _encode_text(base: Base, data: bytes) -> str:
    if base not in _CODECS:
        raise UnknownBase("no such base", expected="b, f, u or z", got=repr(base))
    return base + _CODECS[base][0](data)


def _decode_text(text: str) -> bytes:
    if not text:
        raise UnknownBase("an empty identifier", expected="b, f, u or z first", got="nothing")
    if len(text) > _LONGEST_TEXT:
        raise WrongLength(
            "an identifier too long", expected=f"at most {_LONGEST_TEXT} characters", got=len(text)
        )
    # Capitals are another spelling of these two bases; in the others they are other digits.
    if text[0] in "BbFf":
        text = text.lower()
    name, digits = text[0], text[1:]
    if name not in _CODECS:
        raise UnknownBase("no such base", expected="b, f, u or z first", got=repr(text[:80]))
    encode, decode = _CODECS[name]
    base_name = next(full for base, full in _BASE_NAMES.items() if base == name)
    try:
        data = decode(digits)
    except (ValueError, binascii.Error):
        data = None
    # Some decoders skip characters or spare bits: one text a value, or none.
    if data is None or encode(data) != digits:
        raise MalformedText(
            "characters that the base does not have, or a text cut short",
            expected=f"digits of {base_name}",
            got=repr(text[:80]),
        )
    return data


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().lower().rstrip("=")


def _from_base32(digits: str) -> bytes:
    return base64.b32decode(digits.upper() + "=" * (-len(digits) % 8))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_base64url(digits: str) -> bytes:
    return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def _base58(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def _from_base58(digits: str) -> bytes:
    number = 0
    for digit in digits:
        number = number * 58 + _BASE58.index(digit)
    zeros = len(digits) - len(digits.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


_CODECS: dict[str, tuple[Callable[[bytes], str], Callable[[str], bytes]]] = {
    "b": (_base32, _from_base32),
    "f": (bytes.hex, bytes.fromhex),
    "u": (_base64url, _from_base64url),
    "z": (_base58, _from_base58),
}
