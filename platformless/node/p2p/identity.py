"""Which peer a node is: an Ed25519 key in `p2p.key`, made once. It is not the host's key, and
nothing is paid to it: whoever takes it can pretend to be the peer, not the host."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from nacl.signing import SigningKey

from ..errors import LooseSecretFile
from .errors import PeerKeyUnusable
from .naming import peer_id

KEY_FILE = "p2p.key"
_SEED_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """A peer's key, as the 32 bytes that it is made from."""

    seed: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        return cls(secrets.token_bytes(_SEED_BYTES))

    @property
    def peer_id(self) -> str:
        return peer_id(bytes(SigningKey(self.seed).verify_key))


def kept_identity(data_folder: Path) -> PeerIdentity:
    """The identity of the node whose folder this is; made the first time.

    Raises:
        PeerKeyUnusable: when the file cannot be read or made, or holds something else.
        LooseSecretFile: when others may read it.
    """
    path = data_folder / KEY_FILE
    try:
        if not path.exists():
            data_folder.mkdir(parents=True, exist_ok=True)
            _make(path)
        mode, text = path.stat().st_mode, path.read_text("ascii").strip()
        seed = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise PeerKeyUnusable(f"{path} cannot be used as the peer's key", got=error) from None
    if mode & _OTHERS:
        raise LooseSecretFile(
            f"{path} holds a private key and others may read it",
            expected="mode 600",
            got=f"mode {stat.S_IMODE(mode):03o}",
        )
    if len(seed) != _SEED_BYTES:
        raise PeerKeyUnusable(
            f"{path} holds no key", expected=f"{_SEED_BYTES} bytes in hex", got=f"{len(seed)} bytes"
        )
    return PeerIdentity(seed)


def _make(path: Path) -> None:
    """Writes a new key. Two processes that do so at once end with one key: the first one's."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    own = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(PeerIdentity.new().seed.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink(missing_ok=True)
