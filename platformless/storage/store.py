"""What every store of blobs offers, and the reading that all of them share."""

from __future__ import annotations

import io
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Protocol

from .cids import BlobId
from .errors import BlobTooLarge, RangeOutsideBlob
from .receiving import BATCH_BYTES, LandingFile, Receiver, in_thread, local_failures

_KEPT_IN_MEMORY_BYTES = 1 << 20


class BlobStore(Protocol):
    """Keeps blobs by their hash. Nothing that a store hands out is anything but the blob's bytes.

    Every method raises `RemoteError` when the one portal behind it fails, or `StoreError`
    (errors.py). Memory does not grow with the blob, but for `get`.
    """

    async def put(self, source: bytes | Path) -> BlobId:
        """Stores bytes or a file, which must not change meanwhile."""

    async def get(self, blob: BlobId, *, largest_bytes: int) -> bytes:
        """The whole blob in memory, if it has at most `largest_bytes`."""

    async def fetch(self, blob: BlobId, path: Path) -> None:
        """Writes the blob to `path`, which appears whole and durable, or stays as it was."""

    def stream(self, blob: BlobId) -> AsyncIterator[bytes]:
        """The blob in pieces of at most 1 MiB. The first comes when the whole blob has been
        received into a temporary file and checked: BLAKE3 gives no verdict before.
        """

    async def get_range(self, blob: BlobId, first: int, last: int) -> bytes:
        """The bytes `first` to `last`, counted from 0, both included. Fetches and checks the whole
        blob for them (in a temporary file): portals serve no proof of a part.
        """

    async def pin(self, blob: BlobId) -> None:
        """Asks the store to keep a blob that it can find."""

    async def has(self, blob: BlobId) -> bool:
        """Whether the store says that it has the blob; it may be mistaken."""


class VerifiedReads(ABC):
    """The reading half of a `BlobStore`, out of one way to download.

    Args:
        scratch: Folder of temporary files for `stream` and `get_range`; None for the system's.
    """

    def __init__(self, *, scratch: Path | None = None) -> None:
        self._scratch = scratch

    @abstractmethod
    async def download(self, blob: BlobId, receiver: Receiver) -> None:
        """Lets `receiver` take the blob. Returns when it has all of it and it is right."""

    async def get(self, blob: BlobId, *, largest_bytes: int) -> bytes:
        """The whole blob.

        Raises:
            BlobTooLarge: before anything is asked.
        """
        if blob.size > largest_bytes:
            raise BlobTooLarge(
                f"blob {blob} is too large to be taken",
                expected=f"at most {largest_bytes} bytes",
                got=f"{blob.size} bytes",
            )
        buffer = io.BytesIO()
        await self.download(blob, Receiver(blob, buffer))
        return buffer.getvalue()

    async def check(self, blob: BlobId) -> None:
        """Downloads the blob and checks it, and keeps nothing."""
        await self.download(blob, Receiver(blob, None))

    async def fetch(self, blob: BlobId, path: Path) -> None:
        """Writes the blob to `path`: streamed into a temporary file beside it, checked, fsync,
        rename.

        Raises:
            LocalFileFailed: no space, no folder, no permission.
        """
        landing = LandingFile(path)
        try:
            file = await in_thread(landing.open)
            await self.download(blob, Receiver(blob, file))
            await in_thread(landing.land)
        finally:
            landing.close()

    async def stream(self, blob: BlobId) -> AsyncIterator[bytes]:
        """The blob in pieces of at most 1 MiB, once all of it is here and right."""
        async with self._checked(blob) as file:
            while piece := await in_thread(lambda: file.read(BATCH_BYTES)):
                yield piece

    async def get_range(self, blob: BlobId, first: int, last: int) -> bytes:
        """The bytes `first` to `last`, both included, out of the whole checked blob.

        Raises:
            RangeOutsideBlob: before anything is asked.
        """
        if not 0 <= first <= last < blob.size:
            raise RangeOutsideBlob(
                f"no such bytes in blob {blob}",
                expected=f"within 0 to {blob.size - 1}",
                got=f"{first} to {last}",
            )
        async with self._checked(blob) as file:

            def cut() -> bytes:
                file.seek(first)
                return file.read(last - first + 1)

            return await in_thread(cut)

    @asynccontextmanager
    async def _checked(self, blob: BlobId) -> AsyncIterator[IO[bytes]]:
        """A temporary file with the whole checked blob, read from its start. It has no name."""
        with self._scratch_file(blob) as file:
            await self.download(blob, Receiver(blob, file))
            with local_failures("a temporary file", "read"):
                file.seek(0)
            yield file

    def _scratch_file(self, blob: BlobId) -> IO[bytes]:
        if blob.size <= _KEPT_IN_MEMORY_BYTES:
            return io.BytesIO()
        with local_failures("a temporary file", "made"):
            # Unbuffered: what could not be written must not be tried again on closing.
            return tempfile.TemporaryFile(buffering=0, dir=self._scratch)
