"""Making a backup while the node runs.

The parts are copied in the order in which a checkpoint passes through them: ledger, publication,
outbox. A later part may know more than an earlier one, never less, so that nothing is sent again
that the ledger in the backup takes for unsent and the outbox knows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from ... import __version__
from ...prover.ledger.settings import KEY_FILE, ledger_key
from ..backing import ledger_settings, publication_folder
from ..operating.opening import chains_of
from ..settings import NodeSettings
from . import databases
from .archive import ArchiveWriter, new_archive
from .errors import BackupNotWritten, NothingToBackUp, PassphraseNeeded
from .manifest import (
    FORMAT,
    LEDGER,
    LEDGER_DUMP,
    OUTBOX,
    PORTAL,
    PUBLICATION,
    SEALED_KEY,
    Manifest,
    is_safe,
    key_check,
)
from .sealed_key import seal_key

_PORTAL_FOLDERS = ("blobs", "paths", "registry")
_SENT = "sent_"


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What goes into a backup besides ledger, publication and outbox."""

    with_blobs: bool = False
    """Also what the embedded portal keeps."""
    with_key: bool = False
    """Also the ledger's key, sealed by the passphrase."""
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was written, read back and found as written."""

    path: Path
    manifest: Manifest
    seconds: float = 0.0


def make_backup(settings: NodeSettings, out: Path, request: BackupRequest) -> BackupReport:
    """Writes a backup. Blocks; the node goes on meanwhile.

    Args:
        out: A new file, or a folder that exists, in which it is named by chain and time.

    Raises:
        BackupError: nothing is left at `out`.
        LedgerError: when the ledger cannot be read.
    """
    if request.with_key and not request.passphrase:
        raise PassphraseNeeded("the ledger's key goes into a backup sealed alone")
    _require_ledger(settings)
    began = datetime.now(UTC)
    url, key = _ledger(settings)
    path = out / named(settings, began) if out.is_dir() else out
    if path.exists():
        raise BackupNotWritten(f"{path} is there already", expected="a new file")
    if not path.parent.is_dir():
        raise BackupNotWritten("the folder of the backup does not exist", got=path.parent)
    with (
        new_archive(path) as (archive, beside),
        tempfile.TemporaryDirectory(prefix=f"{beside.name}.", dir=path.parent) as scratch,
    ):
        chains = _add_ledger(archive, url, Path(scratch))
        _add_folder(archive, PUBLICATION, publication_folder(settings), publication_files)
        outbox = settings.data_folder / OUTBOX
        if outbox.exists():
            databases.copy_sqlite(outbox, Path(scratch) / OUTBOX)
            archive.add(OUTBOX, Path(scratch) / OUTBOX)
        if request.with_blobs:
            for name in _PORTAL_FOLDERS:
                folder = settings.data_folder / PORTAL / name
                _add_folder(archive, f"{PORTAL}/{name}", folder, all_files)
        if request.with_key:
            archive.add_bytes(SEALED_KEY, seal_key(key, request.passphrase))
        manifest = archive.finish(
            Manifest(
                format=FORMAT,
                made_at=began.strftime("%Y-%m-%dT%H:%M:%SZ"),
                made_by=__version__,
                chains=tuple(chains),
                ledger_version=databases.ledger_version(url),
                ledger_key_check=key_check(key),
                members=tuple(archive.members),
            )
        )
    return BackupReport(path, manifest, (datetime.now(UTC) - began).total_seconds())


def named(settings: NodeSettings, at: datetime) -> str:
    """A file's name by which backups of a chain sort by their time."""
    return f"node-{settings.chain_id}-{at.strftime('%Y%m%dT%H%M%S.%fZ')}.tar"


def publication_files(folder: Path) -> Iterator[Path]:
    """The files of checkpoints. A mark that a checkpoint was sent is made after everything else of
    it: only marks that are there before the rest is looked for are taken."""
    marks = set(folder.rglob(f"{_SENT}*"))
    for path in all_files(folder):
        if path.name != "lock" and (not path.name.startswith(_SENT) or path in marks):
            yield path


def all_files(folder: Path) -> Iterator[Path]:
    """Files that are whole: what is being written has a name that begins with a dot."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path


def _require_ledger(settings: NodeSettings) -> None:
    """Looking must not begin a ledger, with its key, in the wrong folder."""
    folder = settings.data_folder.absolute()
    is_given = bool(settings.ledger_key.get_secret_value())
    if not settings.ledger_url and not (folder / LEDGER).exists():
        raise NothingToBackUp(f"no ledger in {folder}", expected="the folder of a node")
    if not is_given and not (folder / KEY_FILE).exists():
        raise NothingToBackUp(f"no {KEY_FILE} in {folder}", expected="the ledger's key")


def _ledger(settings: NodeSettings) -> tuple[str, bytes]:
    given = settings.ledger_key.get_secret_value() or None
    return ledger_settings(settings, "").url, ledger_key(settings.data_folder, given)


def _add_ledger(archive: ArchiveWriter, url: str, scratch: Path) -> Sequence[str]:
    """Returns the chains that the copy holds something of."""
    parts = sa.engine.make_url(url)
    if parts.get_backend_name() == "sqlite":
        copy = scratch / LEDGER
        databases.copy_sqlite(Path(parts.database or ""), copy)
        archive.add(LEDGER, copy)
        return chains_of(f"sqlite:///{copy}")
    dump = scratch / LEDGER_DUMP
    databases.dump_postgresql(url, dump)
    archive.add(LEDGER_DUMP, dump)
    return chains_of(url)


def _add_folder(
    archive: ArchiveWriter, name: str, folder: Path, files: Callable[[Path], Iterator[Path]]
) -> None:
    for path in files(folder):
        member = f"{name}/{path.relative_to(folder).as_posix()}"
        if not is_safe(member):
            raise BackupNotWritten("a file with a strange name", got=path)
        try:
            archive.add(member, path)
        except FileNotFoundError:
            continue  # it was deleted meanwhile, by its owner
