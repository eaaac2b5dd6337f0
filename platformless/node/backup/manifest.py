"""The last member of a backup: what else is in it. JSON, with a digest over itself.

The members are files by their path in the data folder, except `ledger.pgdump` (a dump of a
PostgreSQL ledger) and `ledger.key.sealed` (the ledger's key under a passphrase).
"""

from __future__ import annotations

import hashlib
import re
from typing import Self

import msgspec
from msgspec import Struct

from ...decoding import decode_json
from ...protocol.digests import tagged_sha256
from .errors import BackupDamaged, BackupTooNew

NAME = "manifest.json"
FORMAT = "platformless-backup/1"
LEDGER, LEDGER_DUMP = "ledger.db", "ledger.pgdump"
OUTBOX, SEALED_KEY = "outbox.db", "ledger.key.sealed"
PUBLICATION, PORTAL = "publication", "portal"
_SAFE = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")


class Member(Struct, frozen=True):
    """One file of the archive."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    format: str
    made_at: str
    """UTC, to the second."""
    made_by: str
    """The program's version."""
    chains: tuple[str, ...]
    """Of which the ledger holds something: `number:hash of block 0:marketplace`."""
    ledger_version: str
    """Of its tables."""
    ledger_key_check: str
    """Tells the ledger's key from others, and nothing about it."""
    members: tuple[Member, ...]
    digest: str = ""
    """SHA-256 of this document without `digest`."""

    def encode(self) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(self, digest=self._digest()))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises:
        BackupDamaged: when it is not as it was written.
        BackupTooNew: when its format is another.
        """
        try:
            told = decode_json(data, cls)
        except msgspec.MsgspecError as error:
            raise _damaged(str(error)) from None
        if told.format != FORMAT:
            raise BackupTooNew("a backup of another format", expected=FORMAT, got=told.format)
        if told.digest != told._digest():
            raise _damaged("another digest")
        names = [member.name for member in told.members]
        if len(set(names)) != len(names) or not all(map(is_safe, names)):
            raise _damaged("names that no backup has")
        return told

    def has(self, name: str) -> bool:
        return any(member.name == name for member in self.members)

    @property
    def has_blobs(self) -> bool:
        return any(member.name.startswith(f"{PORTAL}/") for member in self.members)

    @property
    def size_bytes(self) -> int:
        return sum(member.size for member in self.members)

    def _digest(self) -> str:
        bare = msgspec.structs.replace(self, digest="")
        return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()


def key_check(key: bytes) -> str:
    return tagged_sha256("backup-key-check", key).hex()


def is_safe(name: str) -> bool:
    """Whether a member's name stays within the folder that it is restored into."""
    return _SAFE.fullmatch(name) is not None and name != NAME


def _damaged(got: str) -> BackupDamaged:
    return BackupDamaged("the manifest cannot be used", expected="as it was written", got=got)
