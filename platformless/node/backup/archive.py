"""The archive: an uncompressed tar whose members are hashed as they are written and read."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import BackupDamaged, BackupNotWritten
from .manifest import NAME, Manifest, Member

_CHUNK_BYTES = 1 << 20
_LARGEST_MANIFEST_BYTES = 1 << 30
_MODE = 0o600


class ArchiveWriter:
    """Made by `new_archive`."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: list[Member] = []

    def add(self, name: str, path: Path) -> None:
        """A file as it is now; a newer one that takes its place meanwhile is not waited for."""
        with path.open("rb") as file:
            self._add(name, os.fstat(file.fileno()).st_size, file)

    def add_bytes(self, name: str, data: bytes) -> None:
        self._add(name, len(data), io.BytesIO(data))

    def finish(self, manifest: Manifest) -> Manifest:
        """Returns the manifest as it will be read."""
        data = manifest.encode()
        self._tar.addfile(_entry(NAME, len(data)), io.BytesIO(data))
        return Manifest.decode(data)

    def _add(self, name: str, size: int, source: IO[bytes]) -> None:
        hashing = _Hashing(source)
        self._tar.addfile(_entry(name, size), hashing)
        self.members.append(Member(name, size, hashing.sha256.hexdigest()))


@contextmanager
def new_archive(path: Path) -> Iterator[tuple[ArchiveWriter, Path]]:
    """Writes an archive beside its place, as the second value; `path` is it once the block has
    been left, and nothing when the block raises.

    Raises:
        BackupNotWritten: when the disk does not take it.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
        temporary = Path(name)
        with os.fdopen(handle, "w+b") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield ArchiveWriter(tar), temporary
            file.flush()
            os.fsync(file.fileno())
        verify(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise BackupNotWritten(f"cannot write {path}", got=error.strerror or error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def verify(path: Path) -> Manifest:
    """Reads every member and compares it with the manifest.

    Raises:
        BackupDamaged, BackupTooNew
    """
    with opened(path) as archive:
        for member in archive.manifest.members:
            archive.copy(member, None)
        return archive.manifest


class ArchiveReader:
    """Made by `opened`."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._tar = tar
        self.manifest = manifest

    def read(self, name: str) -> bytes:
        """A small member, checked."""
        target = io.BytesIO()
        self.copy(next(one for one in self.manifest.members if one.name == name), target)
        return target.getvalue()

    def extract(self, member: Member, folder: Path) -> None:
        """Writes a member to its place under `folder`, on the disk when this returns."""
        path = folder / member.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
            self.copy(member, file)
            file.flush()
            os.fsync(file.fileno())

    def copy(self, member: Member, target: IO[bytes] | None) -> None:
        """Raises:
        BackupDamaged: when it is not the manifest's, by length or hash.
        """
        digest, size = hashlib.sha256(), 0
        for chunk in self._chunks(member.name):
            digest.update(chunk)
            size += len(chunk)
            if target is not None:
                target.write(chunk)
        if (size, digest.hexdigest()) != (member.size, member.sha256):
            raise BackupDamaged(
                f"{member.name} is not as it was written",
                expected=f"{member.size} bytes, SHA-256 {member.sha256}",
                got=f"{size} bytes, SHA-256 {digest.hexdigest()}",
            )

    def _chunks(self, name: str) -> Iterator[bytes]:
        try:
            source = self._tar.extractfile(name)
        except (KeyError, tarfile.TarError, OSError) as error:
            raise BackupDamaged(f"{name} is not in the archive", got=str(error)) from None
        if source is None:
            raise BackupDamaged(f"{name} is no file", expected="a file")
        while chunk := _read(source, name):
            yield chunk


@contextmanager
def opened(path: Path) -> Iterator[ArchiveReader]:
    """Raises:
    BackupDamaged, BackupTooNew: when it is no archive of this kind.
    """
    try:
        tar = tarfile.open(path, "r:")  # noqa: SIM115
    except (tarfile.TarError, OSError) as error:
        raise BackupDamaged(f"{path} is no backup", expected="a tar file", got=str(error)) from None
    with tar:
        try:
            entry = tar.getmember(NAME)
            source = tar.extractfile(entry)
        except (KeyError, tarfile.TarError, OSError) as error:
            raise BackupDamaged(
                f"{path} has no manifest", expected="a whole archive", got=str(error)
            ) from None
        if source is None or entry.size > _LARGEST_MANIFEST_BYTES:
            raise BackupDamaged(f"{path} has no manifest", expected="a file")
        yield ArchiveReader(tar, Manifest.decode(_read(source, NAME, entry.size)))


def _read(source: IO[bytes], name: str, size: int = _CHUNK_BYTES) -> bytes:
    try:
        return source.read(size)
    except (tarfile.TarError, OSError) as error:
        raise BackupDamaged(f"{name} cannot be read", got=str(error)) from None


def sync_folder(folder: Path) -> None:
    """Makes what was renamed in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Hashing:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.sha256.update(data)
        return data


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, _MODE
    return entry
