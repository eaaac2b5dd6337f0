"""Where a ledger is, and the key that its private contents are sealed with."""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ...protocol.secrecy import KEY_BYTES
from .errors import LedgerKeyRefused

KEY_FILE = "ledger.key"
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Raises:
    LedgerKeyRefused: when the key has another length.
    """

    url: str = field(repr=False)
    """SQLAlchemy's: `sqlite:////folder/ledger.db`, or PostgreSQL's with its password."""
    key: bytes = field(repr=False)
    """32 bytes."""
    chain: str
    """Tells apart chains and marketplaces that share a database."""

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise _refused("ledger key of a wrong length", f"{len(self.key)} bytes")


def ledger_key(folder: Path, given: str | None = None) -> bytes:
    """The key that was given, in hex; else the one in the folder's `ledger.key`, which is made
    when there is none. Processes that start at once get the same.

    Raises:
        LedgerKeyRefused: when it is no key, or others may read the file.
    """
    if given is not None:
        return _parse(given, "the given ledger key")
    path = folder / KEY_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_once(path, secrets.token_hex(KEY_BYTES))
        mode = path.stat().st_mode & 0o777
        text = path.read_text("ascii", "replace")
    except OSError as error:
        raise LedgerKeyRefused(f"{path} cannot be used", got=error.strerror) from error
    if mode & _OTHERS:
        raise LedgerKeyRefused(
            f"others may use {path}: chmod 600 it", expected="mode 600", got=f"mode {mode:o}"
        )
    return _parse(text, str(path))


def _parse(text: str, name: str) -> bytes:
    """What is wrong is not repeated: it may be a key."""
    digits = text.strip().removeprefix("0x")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        raise _refused(f"{name} is not hexadecimal", f"{len(digits)} characters") from None
    if len(key) != KEY_BYTES:
        raise _refused(f"{name} has a wrong length", f"{len(key)} bytes")
    return key


def _refused(message: str, got: str) -> LedgerKeyRefused:
    expected = f"{KEY_BYTES} bytes, {2 * KEY_BYTES} hex digits"
    return LedgerKeyRefused(message, expected=expected, got=got)


def _make_once(path: Path, text: str) -> None:
    """Makes a file that only its owner may use, complete from the first moment. When another
    process was faster, its file stays: unlike a rename, a link replaces nothing."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
