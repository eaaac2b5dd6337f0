"""A file that is being fetched: it has another name until its hash is right.

`.NAME.part` stays when a fetch is broken off, so that the next one goes on; `.NAME.part.lock`,
which is empty and stays, keeps two fetches of one file apart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from ...locks import FileLock
from .errors import FetchUnderWay, FolderUnusable

_BLOCK_BYTES = 1 << 20


class PartFile:
    """The bytes that are here, and their SHA-256. Its methods block.

    Use as a context manager, which holds the lock.

    Raises:
        FolderUnusable: from every method, when the disk refuses.
        FetchUnderWay: on entering, when another process holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        """Bytes that are here."""
        self._temporary = path.with_name(f".{path.name}.part")
        self._lock = FileLock(path.with_name(f".{path.name}.part.lock"))
        self._file: IO[bytes] | None = None
        self._hasher = hashlib.sha256()

    def __enter__(self) -> Self:
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._lock.take():
                raise FetchUnderWay(f"{self.path} is being fetched by another process")
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()
        self._lock.release()

    def resume(self) -> None:
        """Opens what an earlier fetch has left, and hashes it."""
        with _told(self.path):
            self._file = self._temporary.open("a+b", buffering=0)
            self._file.seek(0)
            while block := self._file.read(_BLOCK_BYTES):
                self._hasher.update(block)
                self.size += len(block)

    def write(self, data: bytes) -> None:
        with _told(self.path):
            left = memoryview(data)
            while left:
                left = left[self._opened().write(left) :]
        self._hasher.update(data)
        self.size += len(data)

    def empty(self) -> None:
        """Begins again."""
        with _told(self.path):
            self._opened().truncate(0)
        self._hasher, self.size = hashlib.sha256(), 0

    def digest(self) -> bytes:
        """SHA-256 of what is here."""
        return self._hasher.digest()

    def land(self) -> None:
        """Makes the content durable and gives the file its name."""
        with _told(self.path):
            os.fsync(self._opened().fileno())
            self._temporary.chmod(0o644)
            self._temporary.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Removes what is here."""
        with _told(self.path):
            self._temporary.unlink(missing_ok=True)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise RuntimeError("resume() comes first")
        return self._file


def sha256_of(path: Path) -> bytes:
    """Raises:
    FolderUnusable: when the file cannot be read.
    """
    with _told(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Names what the local disk does wrong."""
    try:
        yield
    except OSError as error:
        raise FolderUnusable(
            f"{path} cannot be written", got=error.strerror or type(error).__name__
        ) from error
