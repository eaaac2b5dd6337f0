"""What a server of the tests' own needs: its program, a folder, a port, and patience."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from platformless.children import Child

LOOPBACK = "127.0.0.1"
_BETWEEN_TRIES_SECONDS = 0.02
_CLEAN = """
read -r _              # ends when the tests do, however they end
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$0" 2>/dev/null && [ ! -e "$0" ] && exit
    sleep 0.3          # a server that is just ending still writes
done
"""


class ServerMissing(Exception):
    """A program that the tests need is not installed."""


class ServerFailed(Exception):
    """A server does not start."""


def find_program(name: str, *patterns: str) -> Path:
    """The last of the files that the patterns below / find.

    Raises:
        ServerMissing: when there is none.
    """
    found = sorted(path for pattern in patterns for path in Path("/").glob(pattern))
    if not found:
        raise ServerMissing(f"no {name}: run tools/services.sh, which installs it")
    return found[-1]


@contextmanager
def own_folder(name: str, user: str | None = None) -> Iterator[Path]:
    """A folder with a short path, since sockets lie in it; removed also when this process is
    killed. It belongs to `user`, if that is given and we may choose."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    cleaner = subprocess.Popen(
        ["/bin/sh", "-c", _CLEAN, folder], stdin=subprocess.PIPE, cwd="/", start_new_session=True
    )
    try:
        if user is not None and os.getuid() == 0:
            shutil.chown(folder, user)
        yield folder
    finally:
        cleaner.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def as_user(user: str, signal: str) -> list[str]:
    """What to put before a command so that it runs as `user`, if we are root; it gets `signal`
    when we end."""
    prefix = ["setpriv", "--pdeathsig", signal]
    if os.getuid() == 0:
        group = str(pwd.getpwnam(user).pw_gid)
        prefix += ["--reuid", user, "--regid", group, "--clear-groups"]
    return prefix


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], child: Child, what: str, seconds: float) -> None:
    """Waits for a server that was started.

    Raises:
        ServerFailed: when it ends, or time does.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if child.exit_status is not None or time.monotonic() > deadline:
            child.kill()
            raise ServerFailed(f"{what} did not start: " + " / ".join(child.last_lines()[-5:]))
        time.sleep(_BETWEEN_TRIES_SECONDS)
