"""The blobs of a portal: one file each, named by its hash.

    blobs/ed/e5c0b1…   the bytes of the blob with BLAKE3 hash ede5c0b1…
    scratch/…          blobs being received

A file appears under its hash only when it is whole and on disk. A blob that comes again replaces
its file, so a damaged one heals. Any number of threads and processes may share the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from blake3 import blake3

from ..cids import BlobHash, BlobId
from .errors import BlobNotFound, BodyTooLarge
from .scratch import Scratch, ScratchFile, disk_errors, move, sync_folder
from .space import Space

CHUNK_BYTES = 1 << 20
_SHARD = re.compile("[0-9a-f]{2}")
_HASH = re.compile("[0-9a-f]{64}")


class BlobStore:
    """Args:
    folder: Of the blobs.
    scratch: In the same file system.
    uploads_bytes: Counts what unfinished uploads announce; it goes into the quota.
    largest_bytes: Longer blobs are refused.
    """

    def __init__(
        self,
        folder: Path,
        scratch: Scratch,
        *,
        quota_bytes: int | None = None,
        uploads_bytes: Callable[[], int] = lambda: 0,
        largest_bytes: int = 1 << 62,
    ) -> None:
        self._folder = folder
        self._scratch = scratch
        self._largest_bytes = largest_bytes
        self._placing = threading.Lock()
        self.space = Space(quota_bytes, lambda: self.stored_bytes() + uploads_bytes())

    def size(self, blob: BlobHash) -> int | None:
        """The blob's length in bytes; None when it is not here.

        Raises:
            DiskFailed
        """
        with disk_errors():
            try:
                return self.path(blob).stat().st_size
            except FileNotFoundError:
                return None

    def open(self, blob: BlobHash) -> tuple[BinaryIO, int]:
        """The blob's bytes, and how many they are.

        Raises:
            BlobNotFound, DiskFailed
        """
        with disk_errors():
            try:
                file = self.path(blob).open("rb")
            except FileNotFoundError:
                raise BlobNotFound("no such blob", got=str(blob)) from None
            return file, os.fstat(file.fileno()).st_size

    def receive(self) -> Incoming:
        """A blob to be written piece by piece.

        Raises:
            DiskFull, DiskFailed
        """
        return Incoming(self, self._scratch.create())

    def check_length(self, size: int) -> None:
        """Raises:
        BodyTooLarge
        """
        if size > self._largest_bytes:
            raise BodyTooLarge(
                "a blob too large", expected=f"at most {self._largest_bytes} bytes", got=size
            )

    def check_room(self, size: int) -> None:
        """Whether a blob of this length would be taken now.

        Raises:
            BodyTooLarge, QuotaExceeded
        """
        self.check_length(size)
        self.space.take(size)
        self.space.give_back(size)

    def add(self, data: bytes) -> BlobId:
        """Stores a small blob. Raises what `Incoming` does."""
        with self.receive() as incoming:
            incoming.write(data)
            return incoming.keep()

    def adopt(self, file: Path, blob: BlobId) -> bool:
        """Takes a whole, synced file in as the blob that it was found to be; False when the blob
        was here already.

        Raises:
            DiskFull, DiskFailed
        """
        return self.place(blob.hash, lambda path: move(file, path))

    def place(self, blob: BlobHash, put: Callable[[Path], None]) -> bool:
        """Lets `put` bring a file to the blob's place; False when the blob was here already.

        Raises:
            DiskFull, DiskFailed
        """
        # One at a time: of two that bring the same blob, only one adds to the space used.
        with self._placing, disk_errors():
            is_new = self.size(blob) is None
            put(self.path(blob))
        return is_new

    def delete(self, blob: BlobHash) -> None:
        """Raises:
        BlobNotFound, DiskFailed
        """
        size = self.size(blob)
        path = self.path(blob)
        with disk_errors():
            try:
                path.unlink()
            except FileNotFoundError:
                raise BlobNotFound("no such blob", got=str(blob)) from None
            sync_folder(path.parent)
        self.space.drop(size or 0)

    def path(self, blob: BlobHash) -> Path:
        """Where the blob is, or would be."""
        digits = blob.value.hex()
        return self._folder / digits[:2] / digits[2:]

    def files(self) -> Iterator[tuple[BlobHash | None, Path]]:
        """Every file in a folder of blobs, with the hash that its name promises; None for a name
        that is no hash. Other folders are not ours to look into."""
        with disk_errors():
            shards = sorted(path for path in self._folder.iterdir() if _SHARD.fullmatch(path.name))
        for shard in shards:
            with disk_errors(), os.scandir(shard) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
            for name in names:
                digits = shard.name + name
                is_hash = _HASH.fullmatch(digits) is not None
                yield (BlobHash.from_hex(digits) if is_hash else None), shard / name

    def stored_bytes(self) -> int:
        """Counted on disk: slow with many blobs."""
        total = 0
        for _, path in self.files():
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        return total


class Incoming:
    """A blob being written; forgotten at the end of its `with`, unless it was kept."""

    def __init__(self, store: BlobStore, file: ScratchFile) -> None:
        self._store = store
        self._file = file
        self._hasher = blake3()
        self._size = 0
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forgets the blob. Does nothing after `keep`, or a second time."""
        if not self._is_over:
            self._is_over = True
            self._file.discard()
            self._store.space.give_back(self._size)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: bytes | bytearray) -> None:
        """Raises:
        BodyTooLarge, QuotaExceeded, DiskFull, DiskFailed
        """
        size = self._size + len(data)
        self._store.check_length(size)
        self._store.space.take(len(data))
        self._size = size
        self._file.write(data)
        self._hasher.update(data)

    def keep(self) -> BlobId:
        """Stores the blob; it is on disk when this returns.

        Raises:
            DiskFull, DiskFailed
        """
        self._file.sync()
        blob = BlobId(BlobHash(self._hasher.digest()), self._size)
        is_new = self._store.place(blob.hash, self._file.publish)
        self._is_over = True
        if is_new:
            self._store.space.keep(self._size)
        else:
            self._store.space.give_back(self._size)
        return blob


def hash_of_file(file: BinaryIO) -> BlobId:
    """Reads to the end, in pieces of `CHUNK_BYTES`. Raises OSError."""
    hasher = blake3()
    size = 0
    while chunk := file.read(CHUNK_BYTES):
        hasher.update(chunk)
        size += len(chunk)
    return BlobId(BlobHash(hasher.digest()), size)
