"""Uploads that may stop at any byte and go on later; the state on disk of tus 1.0.

    uploads/<id>.json   announced length and hash
    uploads/<id>.part   the bytes so far; its length is the upload's offset

When the bytes are complete they are hashed, and become a blob if they are what was announced. The
announcement stays for a while, so that a client that missed the answer learns that it is done.
A writer holds the lock of the part file.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ...decoding import decode_json
from ...errors import PlatformlessError
from ..cids import BlobHash, BlobId
from .blobs import BlobStore, hash_of_file
from .errors import (
    AlreadyStored,
    BodyTooLarge,
    HashMismatch,
    UploadLocked,
    UploadNotFound,
    WrongOffset,
)
from .scratch import (
    Scratch,
    create_locked,
    disk_errors,
    sync_folder,
    try_lock,
    write_all,
)

_ID = re.compile("[0-9a-f]{32}")


class Announcement(msgspec.Struct, frozen=True):
    """What a client said it will send; `length` in bytes, `digest` BLAKE3 in hex."""

    length: int
    digest: str

    @property
    def hash(self) -> BlobHash:
        return BlobHash.from_hex(self.digest)


class Upload:
    """An upload under this writer's lock."""

    def __init__(self, uploads: Uploads, name: str, announced: Announcement, handle: int) -> None:
        self._uploads = uploads
        self.name = name
        self.length = announced.length
        self.hash = announced.hash
        self._handle = handle
        self.offset = os.fstat(handle).st_size

    def check(self, offset: int, size: int | None) -> None:
        """Whether bytes may be written at this offset; `size` is their number, if known.

        Raises:
            WrongOffset, BodyTooLarge
        """
        if offset != self.offset:
            raise WrongOffset("the upload stands elsewhere", expected=self.offset, got=offset)
        if size is not None and size > self.length - self.offset:
            raise BodyTooLarge(
                "more bytes than announced", expected=self.length - self.offset, got=size
            )

    def write(self, data: bytes | bytearray) -> None:
        """Raises:
        BodyTooLarge, DiskFull, DiskFailed: What was written before stays.
        """
        self.check(self.offset, len(data))
        with disk_errors():
            os.lseek(self._handle, self.offset, os.SEEK_SET)
            try:
                write_all(self._handle, data)
            finally:
                self.offset = os.fstat(self._handle).st_size

    def sync(self) -> None:
        """Makes the offset durable. Raises DiskFull, DiskFailed."""
        with disk_errors():
            os.fsync(self._handle)

    @property
    def is_complete(self) -> bool:
        return self.offset >= self.length

    def finish(self) -> BlobId:
        """Makes the complete upload a blob.

        Raises:
            HashMismatch: The upload is then gone.
            DiskFull, DiskFailed
        """
        return self._uploads.finish(self)


class Uploads:
    """Args:
    lifetime_seconds: An upload is dropped so long after its last byte.
    """

    def __init__(self, folder: Path, scratch: Scratch, lifetime_seconds: float) -> None:
        self._folder = folder
        self._scratch = scratch
        self.lifetime_seconds = lifetime_seconds

    def attach(self, blobs: BlobStore) -> None:
        """Names the store that complete uploads go to."""
        self._blobs = blobs

    def create(self, blob: BlobHash, length: int) -> str:
        """Raises:
        AlreadyStored, BodyTooLarge, QuotaExceeded, DiskFull, DiskFailed
        """
        if self._blobs.size(blob) is not None:
            raise AlreadyStored("the blob is here already", got=str(blob))
        self._blobs.check_length(length)
        self._blobs.space.take(length)
        try:
            name = self._announce(Announcement(length, blob.value.hex()))
        except BaseException:
            self._blobs.space.give_back(length)
            raise
        self._blobs.space.keep(length)
        return name

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Upload | None]:
        """Locks an upload; None for one that has become a blob.

        Raises:
            UploadNotFound, UploadLocked, DiskFailed
        """
        announced = self.announced(name)
        handle = self._open_part(name)
        if handle is None:
            if self._blobs.size(announced.hash) is None:
                raise UploadNotFound("no such upload", got=name)
            yield None
            return
        try:
            if not try_lock(handle):
                raise UploadLocked("someone else writes to this upload", got=name)
            if not self._is_part(name, handle):
                # Finished or deleted between the two lines above.
                if self._blobs.size(announced.hash) is None:
                    raise UploadNotFound("no such upload", got=name)
                yield None
                return
            yield Upload(self, name, announced, handle)
        finally:
            os.close(handle)

    def announced(self, name: str) -> Announcement:
        """Raises:
        UploadNotFound: also for one whose announcement is damaged: nobody can go on with it.
        DiskFailed
        """
        if _ID.fullmatch(name) is None:
            raise UploadNotFound("no such upload", got=repr(name[:80]))
        with disk_errors():
            try:
                data = self._announcement(name).read_bytes()
            except FileNotFoundError:
                raise UploadNotFound("no such upload", got=name) from None
        try:
            announced = decode_json(data, Announcement)
            BlobId(announced.hash, announced.length)
        except (msgspec.MsgspecError, PlatformlessError, ValueError) as error:
            raise UploadNotFound("a damaged upload", got=f"{name}: {error}") from error
        return announced

    def finish(self, upload: Upload) -> BlobId:
        """See `Upload.finish`."""
        upload.sync()
        part = self._part(upload.name)
        with disk_errors(), part.open("rb") as file:
            found = hash_of_file(file)
        if found != BlobId(upload.hash, upload.length):
            self._remove(upload)
            raise HashMismatch(
                "invalid hash found: these are not the bytes announced",
                expected=upload.hash,
                got=found.hash,
            )
        if not self._blobs.adopt(part, found):
            self._blobs.space.drop(upload.length)
        with disk_errors():
            sync_folder(self._folder)
        return found

    def delete(self, name: str) -> None:
        """Raises:
        UploadNotFound, UploadLocked, DiskFailed
        """
        with self.writing(name) as upload:
            if upload is not None:
                self._remove(upload)
            else:
                with disk_errors():
                    self._announcement(name).unlink(missing_ok=True)

    def announced_bytes(self) -> int:
        """The announced lengths of all unfinished uploads."""
        total = 0
        for part in self._folder.glob("*.part"):
            with contextlib.suppress(UploadNotFound):
                total += self.announced(part.stem).length
        return total

    def sweep(self) -> int:
        """Drops expired uploads and halves of one; returns how many."""
        dropped = 0
        now = time.time()
        for announcement in self._folder.glob("*.json"):
            part = announcement.with_suffix(".part")
            is_done = not part.exists()
            newest = announcement if is_done else part
            with contextlib.suppress(FileNotFoundError, UploadLocked):
                if now - newest.stat().st_mtime > self.lifetime_seconds:
                    try:
                        self.delete(announcement.stem)
                    except UploadNotFound:  # damaged, or gone meanwhile
                        announcement.unlink(missing_ok=True)
                        part.unlink(missing_ok=True)
                    dropped += 1
        for part in self._folder.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if self._is_half_made(part):
                    part.unlink()
                    dropped += 1
        return dropped

    def _announce(self, announcement: Announcement) -> str:
        """Makes the two files of an upload; the lock says that this is under way."""
        handle = None
        while handle is None:
            name = secrets.token_hex(16)
            handle = create_locked(self._part(name))
        try:
            with self._scratch.create() as file:
                file.write(msgspec.json.encode(announcement))
                file.publish(self._announcement(name))
        except BaseException:
            self._part(name).unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        return name

    def _is_half_made(self, part: Path) -> bool:
        """Whether its maker died before the announcement."""
        with part.open("rb") as file:
            return try_lock(file.fileno()) and not part.with_suffix(".json").exists()

    def _remove(self, upload: Upload) -> None:
        with disk_errors():
            self._announcement(upload.name).unlink(missing_ok=True)
            self._part(upload.name).unlink(missing_ok=True)
            sync_folder(self._folder)
        self._blobs.space.drop(upload.length)

    def _open_part(self, name: str) -> int | None:
        with disk_errors():
            try:
                return os.open(self._part(name), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return None

    def _is_part(self, name: str, handle: int) -> bool:
        try:
            return self._part(name).stat().st_ino == os.fstat(handle).st_ino
        except FileNotFoundError:
            return False

    def _part(self, name: str) -> Path:
        return self._folder / f"{name}.part"

    def _announcement(self, name: str) -> Path:
        return self._folder / f"{name}.json"
