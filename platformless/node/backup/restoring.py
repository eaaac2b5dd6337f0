"""Putting a backup where a node finds it: all of it, or nothing.

What an older ledger does not know, the chain does: `against_chain` asks it before anything is
written. A node that starts afterwards compares again by itself: it refuses sessions of which the
chain has more tokens proven than the ledger (NOD-217), and takes over proofs that the chain has
already, or gives their jobs up, in the place of submitting them a second time.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ...files import write_atomically
from ...locks import FileLock
from ...prover.ledger.migrations import upgrading
from ...prover.ledger.settings import KEY_FILE
from . import databases
from .archive import ArchiveReader, opened, sync_folder
from .errors import BackupTooNew, FolderInUse, LedgerKeyNeeded, PassphraseNeeded
from .manifest import LEDGER, LEDGER_DUMP, OUTBOX, SEALED_KEY, Manifest, key_check
from .sealed_key import open_key

_SUPERVISOR_LOCK = "supervisor.lock"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What a restore needs besides the archive."""

    into: Path
    """A folder that does not exist, or is empty."""
    key: bytes | None = field(default=None, repr=False)
    """The ledger's, 32 bytes; None: it is sealed in the archive."""
    passphrase: str = field(default="", repr=False)
    ledger_url: str = field(default="", repr=False)
    """Of a PostgreSQL database without tables, for a backup of such a ledger."""
    keep_key: bool = True
    """Whether the key is written to `ledger.key`; False where LEDGER_KEY says it."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was put where."""

    into: Path
    manifest: Manifest


def restore(archive: Path, request: RestoreRequest) -> RestoreReport:
    """Restores a backup. Every byte is checked before the folder is there. Blocks.

    Raises:
        BackupError: nothing was restored.
    """
    into = request.into.absolute()
    _require_empty(into)
    with opened(archive) as reader:
        manifest = reader.manifest
        _require_known(manifest)
        key = _key(reader, request)
        into.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))  # mode 700
        try:
            for member in manifest.members:
                if member.name != SEALED_KEY:
                    reader.extract(member, beside)
            for name in (LEDGER, OUTBOX):
                if manifest.has(name):
                    databases.check_sqlite(beside / name)
            if request.keep_key:
                write_atomically(beside / KEY_FILE, (key.hex() + "\n").encode(), mode=0o600)
            _restore_dump(manifest, beside, request)
            _require_empty(into)
            beside.replace(into)
            sync_folder(into.parent)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    return RestoreReport(into, manifest)


def _restore_dump(manifest: Manifest, beside: Path, request: RestoreRequest) -> None:
    """Last, since a database cannot be renamed into its place."""
    if not manifest.has(LEDGER_DUMP):
        return
    if not request.ledger_url.startswith("postgresql"):
        raise FolderInUse(
            "the backup is of a PostgreSQL ledger",
            expected="LEDGER_URL, of a database without tables",
            got="none",
        )
    databases.restore_postgresql(request.ledger_url, beside / LEDGER_DUMP)
    (beside / LEDGER_DUMP).unlink()


def _require_empty(into: Path) -> None:
    """Raises:
    FolderInUse
    """
    if not into.exists():
        return
    if not into.is_dir():
        raise FolderInUse(f"{into} is no folder", expected="a folder that does not exist")
    lock = into / _SUPERVISOR_LOCK
    if lock.exists():
        held = FileLock(lock)
        if not held.take():
            raise FolderInUse(f"a node runs on {into}", expected="none")
        held.release()
    found = sorted(path.name for path in into.iterdir())
    if found:
        raise FolderInUse(
            f"{into} is not empty: nothing is overwritten",
            expected="an empty folder",
            got=", ".join(found[:5]),
        )


def _require_known(manifest: Manifest) -> None:
    known = upgrading.known_versions()
    if manifest.ledger_version not in known:
        raise BackupTooNew(
            "a newer version of this program wrote the ledger",
            expected=f"tables of version {known[-1]} or older",
            got=f"version {manifest.ledger_version}, by {manifest.made_by}",
        )


def _key(reader: ArchiveReader, request: RestoreRequest) -> bytes:
    """The ledger's key, which is the one that the backup's ledger is sealed with."""
    key = request.key
    if key is None:
        if not reader.manifest.has(SEALED_KEY):
            raise LedgerKeyNeeded("the backup does not hold the ledger's key", expected="the key")
        if not request.passphrase:
            raise PassphraseNeeded("the ledger's key in the backup is sealed")
        key = open_key(reader.read(SEALED_KEY), request.passphrase)
    if key_check(key) != reader.manifest.ledger_key_check:
        raise LedgerKeyNeeded("this is another ledger's key", expected="the one of the backup")
    return key
