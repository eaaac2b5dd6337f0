"""`fabstir-llm-node backup`, `backup verify` and `restore`: what they show of library calls."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...console import BadInput, Output, stop_requested
from ...prover.ledger.settings import ledger_key
from ..keys.files import read_secret
from ..keys.sources import open_key
from ..logs import set_up_logging
from ..reading_settings import load_settings
from .against_chain import require_rest
from .archive import opened, verify
from .errors import PassphraseNeeded
from .making import BackupReport, BackupRequest, make_backup
from .manifest import PORTAL, SEALED_KEY, Manifest
from .restoring import RestoreReport, RestoreRequest, restore
from .rounds import keep_backing_up

PASSPHRASE = "BACKUP_PASSPHRASE"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often, and how many are kept."""

    every_seconds: float
    generations: int


def show_backup(
    output: Output, env_file: Path, out: Path, request: BackupRequest, rounds: Rounds | None
) -> None:
    """Makes a backup and tells of it; or goes on making them, until SIGINT or SIGTERM.

    Raises:
        SettingsError, BackupError, LedgerError
    """
    settings, _ = load_settings(env_file=env_file)
    if rounds is None:
        _tell(output, make_backup(settings, out, request))
        return
    set_up_logging(settings)

    async def run(rounds: Rounds) -> None:
        await keep_backing_up(
            settings,
            out,
            request,
            every_seconds=rounds.every_seconds,
            generations=rounds.generations,
            stopping=stop_requested(),
            told=lambda report: _tell(output, report),
        )

    asyncio.run(run(rounds))


def show_verification(output: Output, archive: Path) -> Manifest:
    """Reads a backup and tells what is in it.

    Raises:
        BackupDamaged, BackupTooNew
    """
    manifest = verify(archive)
    _told(output, "accepted", "as it was written", archive, manifest, {})
    return manifest


def show_restore(
    output: Output,
    env_file: Path,
    archive: Path,
    into: Path,
    *,
    key_file: Path | None,
    passphrase: str,
    offline: bool,
) -> RestoreReport:
    """Restores a backup and tells of it.

    Raises:
        SettingsError, HostKeyError, BackupError, ChainError
    """
    settings, network = load_settings(env_file=env_file)
    given = settings.ledger_key.get_secret_value()
    key = _given_key(key_file, given)
    if not offline:
        host = open_key(settings).address
        with opened(archive) as reader:
            manifest = reader.manifest
        asyncio.run(require_rest(network, host, manifest))
    request = RestoreRequest(
        into,
        key,
        passphrase,
        ledger_url=settings.ledger_url,
        keep_key=not given,
    )
    report = restore(archive, request)
    _told(output, "done", "restored", archive, report.manifest, {"into": str(report.into)})
    return report


def passphrase_from(file: Path | None, *, needed: bool) -> str:
    """Of the file, else of the environment.

    Raises:
        PassphraseNeeded: when there is none and one is needed.
    """
    found = read_secret(file) if file is not None else os.environ.get(PASSPHRASE, "")
    if needed and not found:
        raise PassphraseNeeded("no passphrase to seal the ledger's key with")
    return found


def _given_key(file: Path | None, given: str) -> bytes | None:
    """Of LEDGER_KEY or of a file as `ledger.key` is; None when neither is given."""
    if given:
        return ledger_key(Path(), given)
    if file is None:
        return None
    if not file.is_file():
        raise BadInput(f"cannot read {file}", expected="the ledger's key")
    return ledger_key(file.parent, read_secret(file))


def _tell(output: Output, report: BackupReport) -> None:
    more = {"seconds": round(report.seconds, 3)}
    _told(output, "done", "backed up and read back", report.path, report.manifest, more)


def _told(
    output: Output, outcome: str, said: str, path: Path, manifest: Manifest, more: dict[str, Any]
) -> None:
    if output.as_json:
        output.json(outcome, backup={**manifest_json(path, manifest), **more})
        return
    output.line(f"{said}: {path}")
    output.line(f"made {manifest.made_at} by version {manifest.made_by}")
    output.line(f"{len(manifest.members)} files, {manifest.size_bytes:,} bytes")
    key = "sealed in it" if manifest.has(SEALED_KEY) else "not in it: keep ledger.key elsewhere"
    output.line(f"ledger's key: {key}")
    for name, value in more.items():
        output.line(f"{name}: {value}")


def manifest_json(path: Path, manifest: Manifest) -> dict[str, Any]:
    """What a backup is, without the list of its files."""
    return {
        "path": str(path.absolute()),
        "format": manifest.format,
        "made_at": manifest.made_at,
        "made_by": manifest.made_by,
        "chains": list(manifest.chains),
        "ledger_version": manifest.ledger_version,
        "files": len(manifest.members),
        "size_bytes": manifest.size_bytes,
        "has_key": manifest.has(SEALED_KEY),
        "has_blobs": any(one.name.startswith(f"{PORTAL}/") for one in manifest.members),
    }


def rounds_of(every_seconds: float | None, generations: int, out: Path) -> Rounds | None:
    """Raises:
    BadInput: when generations are to be kept somewhere else than in a folder.
    """
    if every_seconds is None:
        return None
    if not out.is_dir():
        raise BadInput("generations are kept in a folder", expected="a folder", got=out)
    return Rounds(every_seconds, generations)
