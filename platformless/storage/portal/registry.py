"""S5's registry: small signed values that their key's owner may replace by later ones.

    key        ed ‖ ed25519 public key                                33 bytes
    signed     07 ‖ revision ‖ length of the data ‖ data              the revision: 8, little-endian
    entry      07 ‖ key ‖ revision ‖ length of the data ‖ data ‖ signature(64)

Layout: S5 specification, "Registry". The portal keeps `registry/3b/6a27…`, named by the public
key, with the entry in it. An entry damaged on disk counts as absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ...protocol.words import U64_MAX
from .errors import BadEntry, BadSignature, EntryNotFound, StaleRevision
from .scratch import Scratch, disk_errors, exclusive

KEY_TYPE = 0xED
KEY_BYTES = 33
SIGNATURE_BYTES = 64
LONGEST_DATA = 48

_ENTRY_TYPE = 0x07
_HEAD_BYTES = 1 + KEY_BYTES + 8 + 1


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """Args:
    key: `ed` and the ed25519 public key.
    data: At most 48 bytes.
    signature: Over `signed_bytes`; `verify` checks it.

    Raises:
        BadEntry: for lengths and numbers that no entry has.
    """

    key: bytes
    revision: int
    data: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_key(self.key)
        if not 0 <= self.revision <= U64_MAX:
            raise BadEntry("a revision", expected=f"0 to {U64_MAX}", got=self.revision)
        if len(self.data) > LONGEST_DATA:
            raise BadEntry(
                "data too long", expected=f"at most {LONGEST_DATA} bytes", got=len(self.data)
            )
        if len(self.signature) != SIGNATURE_BYTES:
            raise BadEntry(
                "a signature of a wrong length",
                expected=f"{SIGNATURE_BYTES} bytes",
                got=len(self.signature),
            )

    @classmethod
    def sign(cls, seed: bytes, revision: int, data: bytes) -> Self:
        """An entry of the key that has this seed of 32 bytes."""
        private = Ed25519PrivateKey.from_private_bytes(seed)
        key = bytes([KEY_TYPE]) + private.public_key().public_bytes_raw()
        unsigned = cls(key, revision, data, bytes(SIGNATURE_BYTES))
        return cls(key, revision, data, private.sign(unsigned.signed_bytes()))

    @classmethod
    def decode(cls, entry: bytes) -> Self:
        """Raises:
        BadEntry
        """
        length = len(entry) - _HEAD_BYTES - SIGNATURE_BYTES
        if length < 0 or entry[0] != _ENTRY_TYPE or entry[_HEAD_BYTES - 1] != length:
            raise BadEntry("not a registry entry", got=f"{len(entry)} bytes, {entry[:2].hex()}…")
        return cls(
            key=entry[1 : 1 + KEY_BYTES],
            revision=int.from_bytes(entry[1 + KEY_BYTES : _HEAD_BYTES - 1], "little"),
            data=entry[_HEAD_BYTES : _HEAD_BYTES + length],
            signature=entry[_HEAD_BYTES + length :],
        )

    def encode(self) -> bytes:
        return bytes([_ENTRY_TYPE]) + self.key + self.signed_bytes()[1:] + self.signature

    def signed_bytes(self) -> bytes:
        revision = self.revision.to_bytes(8, "little")
        return bytes([_ENTRY_TYPE]) + revision + bytes([len(self.data)]) + self.data

    def verify(self) -> None:
        """Raises:
        BadSignature
        """
        public = Ed25519PublicKey.from_public_bytes(self.key[1:])
        try:
            public.verify(self.signature, self.signed_bytes())
        except InvalidSignature:
            raise BadSignature("the entry is not signed by its key", got=self.key.hex()) from None


class Registry:
    """The entries on disk. Any number of threads and processes may share the folder."""

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self._folder = folder
        self._scratch = scratch
        self._lock = folder.with_name(folder.name + ".lock")

    def get(self, key: bytes) -> RegistryEntry:
        """Raises:
        BadEntry: for what is not a key.
        EntryNotFound, DiskFailed
        """
        check_key(key)
        with disk_errors():
            try:
                data = self._file(key).read_bytes()
            except FileNotFoundError:
                data = b""
        try:
            entry = RegistryEntry.decode(data)
            entry.verify()
        except (BadEntry, BadSignature):
            entry = None
        if entry is None or entry.key != key:
            raise EntryNotFound("no entry of this key", got=key.hex())
        return entry

    def set(self, entry: RegistryEntry) -> None:
        """Takes the place of an entry with a lower revision. The same revision with the same
        data is accepted and changes nothing.

        Raises:
            BadSignature, StaleRevision, DiskFull, DiskFailed
        """
        entry.verify()
        with exclusive(self._lock):
            try:
                held = self.get(entry.key)
            except EntryNotFound:
                held = None
            if held is not None:
                if (held.revision, held.data) == (entry.revision, entry.data):
                    return
                if held.revision >= entry.revision:
                    raise StaleRevision(
                        "the revision is not higher than the one held",
                        expected=f"more than {held.revision}",
                        got=entry.revision,
                    )
            with self._scratch.create() as file:
                file.write(entry.encode())
                file.publish(self._file(entry.key))

    def _file(self, key: bytes) -> Path:
        digits = key[1:].hex()
        return self._folder / digits[:2] / digits[2:]


def check_key(key: bytes) -> None:
    """Raises:
    BadEntry: unless it is `ed` and 32 bytes.
    """
    if len(key) != KEY_BYTES or key[0] != KEY_TYPE:
        raise BadEntry(
            "not an ed25519 key",
            expected=f"{KEY_BYTES} bytes beginning with {KEY_TYPE:02x}",
            got=f"{len(key)} bytes, {key[:1].hex()}…",
        )
