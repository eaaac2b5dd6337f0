"""Backups again and again, of which the newest generations are kept."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from ...errors import PlatformlessError
from ..settings import NodeSettings
from .errors import BackupNotWritten
from .making import BackupReport, BackupRequest, make_backup

log = logging.getLogger(__name__)
_LEFT_SECONDS = 86_400.0


async def keep_backing_up(
    settings: NodeSettings,
    folder: Path,
    request: BackupRequest,
    *,
    every_seconds: float,
    generations: int,
    stopping: asyncio.Event,
    told: Callable[[BackupReport], None],
) -> None:
    """A backup every so often until `stopping`. One that fails is logged and leaves the older ones;
    the oldest goes when there is a newer one that was read back.

    Raises:
        BackupError: when the first one fails: it would not go better later.
    """
    if not folder.is_dir():
        raise BackupNotWritten("generations are kept in a folder", expected="one", got=folder)
    is_first = True
    while not stopping.is_set():
        began = time.monotonic()
        try:
            told(await asyncio.to_thread(make_backup, settings, folder, request))
            tidy(settings, folder, generations)
        except PlatformlessError as error:
            if is_first:
                raise
            log.error("no backup: %s", error)  # noqa: TRY400
        is_first = False
        rest = max(0.0, every_seconds - (time.monotonic() - began))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest):
                await stopping.wait()


def tidy(settings: NodeSettings, folder: Path, generations: int) -> list[Path]:
    """Removes all but the newest generations of this chain, and what a backup that was killed left
    a day ago; returns the generations that are gone."""
    for left in folder.glob(f".node-{settings.chain_id}-*"):
        if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    found = sorted(folder.glob(f"node-{settings.chain_id}-*Z.tar"))
    old = found[: max(0, len(found) - generations)]
    for path in old:
        path.unlink(missing_ok=True)
    return old
