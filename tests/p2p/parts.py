"""Processes that take part in a DHT on loopback, and a finder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from platformless.node.supervisor.run import free_port

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 120.0
COMMAND = (sys.executable, "-m", "platformless.node")


class Participant:
    """A `p2p` process. Its folder, port and peer stay when it is started again."""

    def __init__(self, folder: Path, bootstrap: str = "") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port = free_port("127.0.0.1")
        self.bootstrap = bootstrap
        self.address = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        lines = (self.folder / "lines").open("a")
        with lines:
            self.process = subprocess.Popen(
                [*COMMAND, "p2p", "--env-file", os.devnull, "--json"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=lines,
                text=True,
                env=environment(
                    {
                        "DATA_FOLDER": str(self.folder),
                        "P2P_HOST": "127.0.0.1",
                        "P2P_PORT": str(self.port),
                        "P2P_BOOTSTRAP": self.bootstrap,
                    }
                ),
            )
        self.report = read_object(self.process)
        if self.report["outcome"] == "running":
            (self.address,) = self.report["addresses"]

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """As `kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(LIMIT_SECONDS)

    def resident_mib(self) -> int:
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") >> 20


@contextmanager
def participant(folder: Path, bootstrap: str = "") -> Iterator[Participant]:
    part = Participant(folder, bootstrap)
    part.start()
    try:
        yield part
    finally:
        if part.is_alive:
            part.kill()


def peers_process(model: object, *bootstrap: str) -> dict[str, Any]:
    """What a process of the command `peers` prints."""
    done = subprocess.run(
        [*COMMAND, "peers", *_asked(model, bootstrap, asks_chain=False)],
        cwd=ROOT,
        env=environment({}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"status": done.returncode}


class Finder:
    """What `peers` prints, in a process that is there already."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.p2p.finder"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment({}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def __call__(
        self, model: object, *bootstrap: str, chain: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Args:
        chain: Variables of a chain that is asked as well.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        too_late = threading.Timer(LIMIT_SECONDS, self._process.kill)
        too_late.start()
        try:
            asked = _asked(model, bootstrap, asks_chain=chain is not None), chain or {}
            print(json.dumps(asked), file=self._process.stdin, flush=True)
            done = json.loads(self._process.stdout.readline())
        finally:
            too_late.cancel()
        found: dict[str, Any] = json.loads(done["printed"])
        return found | {"status": done["status"]}


def _asked(model: object, bootstrap: Sequence[str], *, asks_chain: bool) -> list[str]:
    words = [word for address in bootstrap for word in ("--bootstrap", address)]
    return [
        *("--model", str(model), *words, "--env-file", os.devnull, "--json"),
        *([] if asks_chain else ["--no-chain"]),
    ]


def urls(found: Mapping[str, Any]) -> list[str]:
    return sorted(node["apiUrl"] for node in found["nodes"])


def until(found: Callable[[], bool]) -> None:
    """Asks over and over."""
    end = time.monotonic() + LIMIT_SECONDS
    while not found():
        assert time.monotonic() < end
        time.sleep(0.1)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Without settings of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **{k: v for k, v in more.items() if v}}


def read_object(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The first JSON object that a process prints."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            break
    found: dict[str, Any] = json.loads(text)
    return found
