"""What is uploaded: bytes or a file, with the name that follows from its content."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from .cids import BlobHash, BlobId
from .errors import SourceChanged
from .receiving import BATCH_BYTES, in_thread, local_failures


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes or a file, hashed. Made once for all portals.

    `stamp` is how the file looked when it was hashed: size, time of change, device and number.
    """

    content: bytes | Path
    blob: BlobId
    stamp: tuple[int, int, int, int] | None = None

    @classmethod
    async def of(cls, content: bytes | Path) -> Source:
        """Hashes the content, a file in pieces.

        Raises:
            LocalFileFailed: when the file cannot be read.
            SourceChanged: when somebody writes it meanwhile.
        """
        return await in_thread(lambda: cls._hashed(content))

    @classmethod
    def _hashed(cls, content: bytes | Path) -> Source:
        if isinstance(content, bytes):
            return cls(content, BlobId.of(content))
        with local_failures(content, "read"):
            stamp = _stamp(content)
            hasher, size = blake3(), 0
            with content.open("rb", buffering=0) as file:
                while piece := file.read(BATCH_BYTES):
                    hasher.update(piece)
                    size += len(piece)
        source = cls(content, BlobId(BlobHash(hasher.digest()), size), stamp)
        source._check_now()
        return source

    async def pieces(self, first: int, count: int) -> AsyncGenerator[bytes, None]:
        """`count` bytes from `first` on, at most 1 MiB at a time.

        Raises:
            LocalFileFailed: when the file cannot be read.
            SourceChanged: when the file ends before.
        """
        end = first + count
        if isinstance(self.content, bytes):
            view = memoryview(self.content)
            for start in range(first, end, BATCH_BYTES):
                yield bytes(view[start : min(start + BATCH_BYTES, end)])
            return
        path = self.content
        with local_failures(path, "read"):
            file = await in_thread(lambda: os.open(path, os.O_RDONLY))
        try:
            while first < end:
                wanted, start = min(BATCH_BYTES, end - first), first
                with local_failures(path, "read"):
                    piece = await in_thread(lambda: os.pread(file, wanted, start))  # noqa: B023
                if not piece:
                    raise _changed(path, f"an end after {first} bytes")
                first += len(piece)
                yield piece
        finally:
            os.close(file)

    async def check_unchanged(self) -> None:
        """Raises `SourceChanged` when the file is not the one that was hashed."""
        await in_thread(self._check_now)

    def _check_now(self) -> None:
        if isinstance(self.content, bytes):
            return
        with local_failures(self.content, "read"):
            stamp = _stamp(self.content)
        if stamp != self.stamp or stamp[0] != self.blob.size:
            raise _changed(self.content, f"{stamp[0]} bytes, or another time of change")


def _changed(path: Path, got: str) -> SourceChanged:
    return SourceChanged(f"{path} changed during its upload", expected="a file at rest", got=got)


def _stamp(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino
