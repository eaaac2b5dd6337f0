"""The processes of a host, as an operator has them, for `benchmarks.pipeline`; and what each of
them takes of the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from platformless.chain.connection import Chain
from platformless.chain.devchain import DevChain
from platformless.children import Child
from platformless.node.backing import chain_tag
from platformless.node.settings import KEY_VARIABLES
from platformless.node.supervisor.run import free_port
from platformless.node.workers.command import READY
from platformless.prover.ledger.settings import LedgerSettings

LEDGER_KEY = b"\x05" * 32
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A process of this package's, from `started` to its end."""

    def __init__(self, module: str, *words: str, environment: Mapping[str, str]) -> None:
        self.name = " ".join((module, *words))
        self._child = Child((sys.executable, "-m", module, *words), environment=environment)

    @property
    def resident_bytes(self) -> int:
        return self._status("VmRSS")

    @property
    def anonymous_bytes(self) -> int:
        """Resident memory that is no file's."""
        return self._status("RssAnon")

    @property
    def descriptors(self) -> int:
        """Files, sockets and pipes that are open."""
        return len(os.listdir(self._folder / "fd"))  # noqa: PTH208 (only how many)

    @property
    def cpu_seconds(self) -> float:
        """Of all its threads."""
        words = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / _TICKS

    def wait_for_line(self, beginning: str) -> None:
        if self._child.wait_for_line(beginning, _START_SECONDS) is None:
            raise RuntimeError(f"{self.name} does not start: {self._child.last_lines()}")

    def require_running(self) -> None:
        if self._child.exit_status is not None:
            raise RuntimeError(f"{self.name} has ended: {self._child.last_lines()}")

    def stop(self) -> None:
        """As an operator does."""
        self._child.terminate()
        self._child.wait(_STOP_SECONDS)
        self._child.kill()

    @property
    def _folder(self) -> Path:
        return Path(f"/proc/{self._child.process_id}")

    def _status(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
        raise RuntimeError("the system does not tell")


@contextmanager
def started(
    module: str, *words: str, environment: Mapping[str, str], ready: str
) -> Iterator[Process]:
    """Runs `python -m MODULE WORDS…`; the block begins when a line begins with `ready`."""
    process = Process(module, *words, environment=environment)
    try:
        process.wait_for_line(ready)
        yield process
    finally:
        process.stop()


def settings_of(
    chain: Mapping[str, str], folder: Path, broker_url: str, **changes: object
) -> dict[str, str]:
    """The environment of a host's processes, whose data are in `folder`."""
    return {
        **os.environ,
        **chain,
        "DATA_FOLDER": str(folder),
        "LEDGER_URL": ledger_url(folder),
        "LEDGER_KEY": LEDGER_KEY.hex(),
        "BROKER_URL": broker_url,
        "LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
        **{name.upper(): str(value) for name, value in changes.items()},
    }


def ledger_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


async def ledger_of(dev_chain: DevChain, folder: Path) -> LedgerSettings:
    """Of the ledger that the processes find: sessions of this chain."""
    async with Chain(dev_chain.network) as chain:
        return LedgerSettings(ledger_url(folder), LEDGER_KEY, await chain_tag(chain))


@contextmanager
def portal(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """`fabstir-llm-node s5-portal`; its address."""
    port = str(free_port("127.0.0.1"))
    words = ("s5-portal", "--folder", str(folder), "--port", port)
    with started("platformless.node", *words, environment=environment, ready="running"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def prover(environment: Mapping[str, str], poll_seconds: float) -> Iterator[Process]:
    """A worker with the stand-in, and without the host's key."""
    allowed = {name: value for name, value in environment.items() if name not in KEY_VARIABLES}
    words = ("benchmarks.pipeline_worker", "prover", str(poll_seconds))
    with started(*words, environment=allowed, ready=READY) as process:
        yield process


@contextmanager
def settlement(environment: Mapping[str, str], poll_seconds: float | None) -> Iterator[Process]:
    """The settlement worker: the command itself, unless it is to ask the broker as often as
    `poll_seconds` says."""
    if poll_seconds is None:
        command = "worker --queues settlement --env-file /dev/null"
        words = ("platformless.node", *command.split())
    else:
        words = ("benchmarks.pipeline_worker", "settlement", str(poll_seconds))
    with started(*words, environment=environment, ready=READY) as process:
        yield process
