"""A portal in a process of its own, to be killed; and what to do to it over a bare socket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from platformless.console import guarded
from platformless.node.s5.portal import PortalRequest, run_portal


class PortalProcess:
    """Runs until it is killed with SIGKILL, at the end of its `with` at the latest."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.portal_process", str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        shown = ""
        while not shown.endswith("\n}\n"):
            line = self.process.stdout.readline()
            assert line, f"ended after {shown!r}"
            shown += line
        self.url: str = json.loads(shown)["portal"]["url"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def send_part(url: str, head: str, body: bytes) -> socket.socket:
    """A request whose body may be shorter than it says; the connection stays open."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return connection


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Asks again and again; fails when time is over first."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


if __name__ == "__main__":
    guarded(
        "portal-process",
        "run",
        True,
        lambda output: run_portal(output, PortalRequest(Path(sys.argv[1]))),
    )
