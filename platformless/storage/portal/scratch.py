"""Files that are being written: invisible until they are whole, gone when their writer dies.

A file is filled in one folder, then moved to its place: fsync, rename, fsync of the folder. While
its writer lives it holds a lock (flock), which the kernel drops with the process, so any process
can tell what was left behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import DiskFailed, DiskFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turns what the operating system says about a file into the portal's errors."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise DiskFull("the disk has no room", got=reason) from error
        raise DiskFailed("the disk failed", got=reason) from error


class ScratchFile:
    """A file being written; discarded at the end of its `with`, unless it was published."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle: int | None = handle

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises:
        DiskFull, DiskFailed
        """
        with disk_errors():
            write_all(self._open(), data)

    def sync(self) -> None:
        """Brings what was written to the disk. Raises DiskFull, DiskFailed."""
        with disk_errors():
            os.fsync(self._open())

    def publish(self, destination: Path) -> None:
        """Moves the file to its place, in place of an older one. Durable when this returns.

        Raises:
            DiskFull, DiskFailed: The file is then discarded with the `with`.
        """
        self.sync()
        with disk_errors():
            move(self._path, destination)
        self._close()

    def discard(self) -> None:
        """Removes the file. Does nothing after `publish`."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            self._close()

    def _open(self) -> int:
        if self._handle is None:
            raise ValueError("this file was published or discarded")
        return self._handle

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


class Scratch:
    """The folder of files being written. Any number of processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> ScratchFile:
        """Raises:
        DiskFull, DiskFailed
        """
        while True:
            path = self._folder / secrets.token_hex(16)
            handle = create_locked(path)
            if handle is not None:
                return ScratchFile(path, handle)

    def sweep(self) -> int:
        """Removes what dead writers left; returns how many files."""
        removed = 0
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if try_lock(file.fileno()):
                    path.unlink()
                    removed += 1
        return removed


def move(source: Path, destination: Path) -> None:
    """Renames within one file system, and makes the new name durable.

    Raises:
        OSError
    """
    make_folder(destination.parent)
    source.replace(destination)
    sync_folder(destination.parent)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, durably. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes | bytearray | memoryview) -> None:
    """Writes all of the data where the file stands. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def create_locked(path: Path) -> int | None:
    """A new file, under this handle's lock; None when a sweep came between the two and removed
    the file.

    Raises:
        DiskFull, DiskFailed
    """
    with disk_errors():
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
    if try_lock(handle) and os.fstat(handle).st_nlink == 1:
        return handle
    os.close(handle)
    return None


def try_lock(handle: int) -> bool:
    """Locks an open file for this handle alone, until it is closed; False when it is locked."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock of a lock file; waits for it. Between threads and processes alike."""
    with disk_errors():
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            os.close(handle)
            raise
    try:
        yield
    finally:
        os.close(handle)
