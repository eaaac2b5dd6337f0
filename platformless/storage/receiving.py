"""Receiving a blob from somebody who is not trusted.

BLAKE3 of a whole blob gives its verdict at the last byte. So bytes go to a place that nobody reads
yet (a temporary file, a buffer), and only `Receiver.take` returning says that they are the blob's.

A chunk is hashed as it comes: that takes a fraction of what receiving it took. Files are written
in a thread, a batch at a time, while the next batch arrives.
"""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self, TypeVar

from blake3 import blake3

from .cids import BlobId
from .errors import BodyTruncated, LengthMismatch, LocalFileFailed, WrongContent

BATCH_BYTES = 1 << 20
_BATCH_CHUNKS = 1024
_T = TypeVar("_T")


class Receiver:
    """Takes a blob's bytes, from one sender after another until one is right.

    Args:
        blob: What must arrive.
        file: Where the bytes go, from its start, unbuffered; None to check only. Nothing in it
            may be believed before `take` has returned.
    """

    def __init__(self, blob: BlobId, file: IO[bytes] | None) -> None:
        self.blob = blob
        self._file = file
        self._used = False

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Receives one whole body. Holds two batches of about a mebibyte at most.

        Raises:
            LengthMismatch: as soon as there is a byte too many; the rest is not read.
            BodyTruncated, WrongContent: at the end.
            LocalFileFailed: when the file cannot be written.
        """
        if self._used:
            await in_thread(self._empty)
        self._used = True
        hasher, received = blake3(), 0
        async with _Batches(self._file) as batches:
            async for chunk in chunks:
                received += len(chunk)
                if received > self.blob.size:
                    raise LengthMismatch(
                        "a body longer than the blob",
                        expected=f"{self.blob.size} bytes",
                        got=f"{received} bytes, and maybe more",
                    )
                hasher.update(chunk)
                if self._file is not None:
                    await batches.write(chunk)
            await batches.flush()
        self._judge(received, hasher.digest())

    def _empty(self) -> None:
        if self._file is not None:
            with local_failures("the temporary file", "written"):
                self._file.seek(0)
                self._file.truncate()

    def _judge(self, received: int, digest: bytes) -> None:
        if received < self.blob.size:
            raise BodyTruncated(
                "a body that ended early",
                expected=f"{self.blob.size} bytes",
                got=f"{received} bytes",
            )
        if digest != self.blob.hash.value:
            raise WrongContent(
                "bytes that are not the blob's",
                expected=f"BLAKE3 {self.blob.hash}",
                got=f"0x{digest.hex()}",
            )


class _Batches:
    """Writes to a file in a thread while the next batch is gathered."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self._batch: list[bytes] = []
        self._gathered = 0
        self._writing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._writing is not None:
            await settled(self._writing)

    async def write(self, chunk: bytes) -> None:
        self._batch.append(chunk)
        self._gathered += len(chunk)
        if self._gathered >= BATCH_BYTES or len(self._batch) >= _BATCH_CHUNKS:
            await self._settle()
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, self._batch))
            self._batch, self._gathered = [], 0

    async def flush(self) -> None:
        await self._settle()
        if self._batch:
            await in_thread(lambda: self._write(self._batch))

    async def _settle(self) -> None:
        if self._writing is not None:
            await settled(self._writing)

    def _write(self, batch: list[bytes]) -> None:
        if self._file is None:
            return
        if isinstance(self._file, io.BytesIO):
            self._file.writelines(batch)
            return
        # One system call a batch: each would give the interpreter lock away, and wait for it.
        left: list[bytes | memoryview] = list(batch)
        with local_failures("the temporary file", "written"):
            while left:
                written = os.writev(self._file.fileno(), left)
                while left and written >= len(left[0]):
                    written -= len(left.pop(0))
                if written:
                    left[0] = memoryview(left[0])[written:]


async def in_thread(function: Callable[[], _T]) -> _T:
    """Runs `function` in a thread; see `settled`."""
    return await settled(asyncio.ensure_future(asyncio.to_thread(function)))


async def settled(work: asyncio.Future[_T]) -> _T:
    """The result of work in a thread. When the caller is cancelled, waits for the thread's end
    first: what the thread uses may then be closed.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # the cancellation is told, not this
        raise


@contextmanager
def local_failures(what: object, done: str) -> Iterator[None]:
    """Names what the local disk does wrong."""
    try:
        yield
    except OSError as error:
        raise LocalFileFailed(
            f"{what} cannot be {done}", got=error.strerror or type(error).__name__
        ) from error


class LandingFile:
    """A file that appears at its path whole, or not at all. Its methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary: Path | None = None
        self._file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        """An empty temporary file beside the path.

        Raises:
            LocalFileFailed
        """
        with local_failures(self._path, "written"):
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            self._temporary = Path(name)
            self._file = os.fdopen(handle, "wb", buffering=0)
        return self._file

    def land(self) -> None:
        """Makes the content durable and gives the file its name.

        Raises:
            LocalFileFailed
        """
        if self._file is None or self._temporary is None:
            raise RuntimeError("land() before open()")
        with local_failures(self._path, "written"):
            os.fsync(self._file.fileno())
            self._temporary.chmod(0o644)
            self._temporary.replace(self._path)
            self._temporary = None
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Removes what has not landed. Raises nothing."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)
