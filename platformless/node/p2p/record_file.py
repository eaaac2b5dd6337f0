"""The node record between the process that signs it and the one that serves it."""

from __future__ import annotations

from pathlib import Path

from ...files import write_atomically
from ...protocol import node_record
from ...protocol.errors import ProtocolError
from ...protocol.node_record import MAX_RECORD_BYTES, SignedNodeRecord

_FOLDER = "p2p"
_FILE = "record.json"


def record_path(data_folder: Path) -> Path:
    return data_folder / _FOLDER / _FILE


def leave(data_folder: Path, signed: SignedNodeRecord) -> None:
    """Raises:
    OSError: when the file cannot be written.
    """
    path = record_path(data_folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, signed.encode())


def take_away(data_folder: Path) -> None:
    record_path(data_folder).unlink(missing_ok=True)


def left(data_folder: Path, peer_id: str, now_seconds: float) -> SignedNodeRecord | None:
    """The record that may be shown as this peer's now, if there is one."""
    try:
        with record_path(data_folder).open("rb") as file:
            signed = node_record.decode(file.read(MAX_RECORD_BYTES + 1))
        signed.require_current(now_seconds)
    except (OSError, ProtocolError):
        return None
    return signed if signed.record.peer_id == peer_id else None
