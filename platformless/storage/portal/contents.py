"""Everything a portal keeps, in one folder, and the check of it.

blobs/       whole blobs by hash            quarantine/     blobs that were damaged
uploads/     blobs being sent by tus        scratch/        files being written
paths/       what paths stand for           registry/       signed entries by key
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..cids import BlobHash
from .blobs import BlobStore, hash_of_file
from .paths import PathRecords
from .registry import Registry
from .scratch import Scratch, disk_errors, make_folder, move
from .settings import PortalSettings
from .uploads import Uploads

_FOLDERS = ("blobs", "uploads", "paths", "quarantine", "scratch", "registry")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file that was moved to the quarantine; `found` is what its bytes hash to."""

    name: str
    found: BlobHash


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Args:
    blobs, checked_bytes: Sound blobs, and all bytes read.
    swept: Files of dead writers and expired uploads that were removed.
    dangling: Paths whose blob is not here.
    """

    blobs: int
    checked_bytes: int
    damaged: tuple[Damaged, ...]
    swept: int
    dangling: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        return not self.damaged


class Contents:
    """Opens the folder of a portal and removes what dead processes left half-written.

    Raises:
        DiskFull, DiskFailed
    """

    def __init__(self, settings: PortalSettings) -> None:
        folder = settings.folder
        with disk_errors():
            for name in _FOLDERS:
                make_folder((folder / name).absolute())
        self.settings = settings
        self.scratch = Scratch(folder / "scratch")
        self.uploads = Uploads(folder / "uploads", self.scratch, settings.upload_seconds)
        self.blobs = BlobStore(
            folder / "blobs",
            self.scratch,
            quota_bytes=settings.quota_bytes,
            uploads_bytes=self.uploads.announced_bytes,
            largest_bytes=settings.largest_blob_bytes,
        )
        self.uploads.attach(self.blobs)
        self.paths = PathRecords(folder / "paths", self.scratch)
        self.registry = Registry(folder / "registry", self.scratch)
        self.swept = self.sweep()

    def sweep(self) -> int:
        """Removes files of dead writers and expired uploads; returns how many."""
        with disk_errors():
            return self.scratch.sweep() + self.uploads.sweep()

    def check(self) -> CheckReport:
        """Hashes every blob again and moves damaged ones to the quarantine, so that they are
        not served and may come again. Safe beside a running portal.

        Raises:
            DiskFull, DiskFailed
        """
        swept = self.swept + self.sweep()
        blobs = checked = 0
        damaged: list[Damaged] = []
        for name, path in self.blobs.files():
            with disk_errors():
                try:
                    file = path.open("rb")
                except FileNotFoundError:  # deleted since it was listed
                    continue
                with file:
                    found = hash_of_file(file)
                    checked += found.size
                    if found.hash == name:
                        blobs += 1
                    elif self._quarantine(path, file):
                        damaged.append(Damaged(path.parent.name + path.name, found.hash))
                        self.blobs.space.drop(found.size)
        dangling = sorted(
            path for path, blob in self.paths.all() if self.blobs.size(blob.hash) is None
        )
        return CheckReport(blobs, checked, tuple(damaged), swept, tuple(dangling))

    def _quarantine(self, path: Path, file: BinaryIO) -> bool:
        """False when another file has taken the place of the damaged one. Raises OSError."""
        if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            return False
        folder = self.settings.folder / "quarantine"
        name = path.parent.name + path.name
        number = 0
        while (destination := folder / f"{name}.{number}").exists():
            number += 1
        move(path, destination)
        return True
