"""What paths stand for: a record `path → blob` for each, replaced as a whole.

    paths/3f/9c…    JSON {"path": …, "cid": …}; named by the BLAKE3 hash of the path

No part of a path becomes the name of a file, so no path leads out of the folder. Records do not
keep blobs alive, and a blob stays when its path goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ...decoding import decode_json
from ..cids import BlobHash, BlobId
from ..errors import CidError
from .errors import BadPath, PathNotFound
from .scratch import Scratch, disk_errors, sync_folder

LONGEST_PATH = 1024


class _Record(msgspec.Struct, frozen=True):
    path: str
    cid: str


class PathRecords:
    """Args:
    scratch: In the same file system as the folder.
    """

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self._folder = folder
        self._scratch = scratch

    def set(self, path: str, blob: BlobId) -> None:
        """Raises:
        BadPath, DiskFull, DiskFailed
        """
        data = msgspec.json.encode(_Record(checked(path), str(blob)))
        with self._scratch.create() as file:
            file.write(data)
            file.publish(self._file(path))

    def get(self, path: str) -> BlobId:
        """Raises:
        BadPath, PathNotFound, DiskFailed
        """
        with disk_errors():
            try:
                data = self._file(checked(path)).read_bytes()
            except FileNotFoundError:
                data = b""
        record = _decode(data)
        if record is None:
            raise PathNotFound("nothing is at this path", got=path)
        return record[1]

    def delete(self, path: str) -> None:
        """Raises:
        BadPath, PathNotFound, DiskFailed
        """
        file = self._file(checked(path))
        with disk_errors():
            try:
                file.unlink()
            except FileNotFoundError:
                raise PathNotFound("nothing is at this path", got=path) from None
            sync_folder(file.parent)

    def all(self) -> Iterator[tuple[str, BlobId]]:
        """Every path and its blob, in no order; unreadable records are left out."""
        for file in self._folder.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):
                record = _decode(file.read_bytes())
                if record is not None:
                    yield record

    def _file(self, path: str) -> Path:
        digits = BlobHash.of(path.encode()).value.hex()
        return self._folder / digits[:2] / digits[2:]


def checked(path: str) -> str:
    """The path, if it is one: parts between single slashes, none of them `.` or `..`.

    Raises:
        BadPath
    """
    parts = path.split("/")
    if not all(parts) or any(part in (".", "..") for part in parts):
        raise BadPath("not a path", expected="names between single slashes", got=repr(path[:80]))
    if any(ord(letter) < 0x20 or 0xD800 <= ord(letter) < 0xE000 for letter in path):
        raise BadPath("control characters in a path", got=repr(path[:80]))
    if len(path.encode()) > LONGEST_PATH:
        raise BadPath("a path too long", expected=f"at most {LONGEST_PATH} bytes", got=len(path))
    return path


def _decode(data: bytes) -> tuple[str, BlobId] | None:
    """None for a record that was damaged."""
    try:
        record = decode_json(data, _Record)
        return record.path, BlobId.parse(record.cid)
    except (msgspec.DecodeError, UnicodeDecodeError, CidError):
        return None
