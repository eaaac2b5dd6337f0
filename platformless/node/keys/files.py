"""Files that hold a secret: read only when nobody else may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import KeyFileLoose, KeyUnusable

MOUNTED = Path("/run/secrets")
"""Where containers get their secrets."""
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Names the folder in which systemd gives a service its credentials."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 1 << 16


def read_secret(path: Path) -> str:
    """The text of a file, without white space around it.

    Its mode is 600 or stricter and its owner this user or root. Files that systemd or a container's
    runtime has mounted for this service alone have modes of their own, which are not judged.

    Raises:
        KeyFileLoose: when others may read it.
        KeyUnusable: when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not _is_mounted(path):
                _require_own(path, found)
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise KeyUnusable(f"cannot read {path}", got=error.strerror or error) from None
    if len(data) > _MOST_BYTES:
        raise KeyUnusable(f"{path} is no secret", expected=f"at most {_MOST_BYTES} bytes")
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        raise KeyUnusable(f"{path} is not text", expected="UTF-8", got="not shown") from None


def _require_own(path: Path, found: os.stat_result) -> None:
    if found.st_mode & _OTHERS:
        raise KeyFileLoose(
            f"{path} holds a secret and others may read it",
            expected="mode 600 or 400",
            got=f"mode {stat.S_IMODE(found.st_mode):03o}",
        )
    if found.st_uid not in (os.geteuid(), 0):
        raise KeyFileLoose(
            f"{path} holds a secret and is another user's",
            expected=f"user {os.geteuid()}",
            got=f"user {found.st_uid}",
        )


def _is_mounted(path: Path) -> bool:
    given = os.environ.get(CREDENTIALS)
    folders = [MOUNTED, *([Path(given)] if given else [])]
    return any(path.absolute().is_relative_to(folder) for folder in folders)
