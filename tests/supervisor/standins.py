"""Small programs in the place of services, and a supervisor in a process of its own, to be killed.

`python -m tests.supervisor.standins FOLDER` supervises a broker and two of the programs, and
writes one line of JSON, each service's process, when all are ready.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from platformless.node.supervisor.service import (
    LineBeginning,
    Patience,
    Service,
    ServiceState,
    ServiceStatus,
)
from platformless.node.supervisor.supervisor import Supervisor
from platformless.prover.broker import valkey
from platformless.retrying import Backoff

LIMIT_SECONDS = 60.0
QUICK = Patience(settled_seconds=0.2, backoff=Backoff(0.05, 0.1))
SAYS_READY = LineBeginning("ready")

_GRACEFUL = """
    import signal, sys, time
    def end(number, frame):
        print("ending", flush=True)
        time.sleep({pause_seconds})
        print("ended", flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    print("started", flush=True)
    print("ready", flush=True)
    signal.pause()
"""
_STUBBORN = """
    import signal, subprocess, sys
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    print("child", child.pid, flush=True)
    print("ready", flush=True)
    signal.pause()
"""


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(text))


def graceful(name: str, pause_seconds: float = 0.1) -> Service:
    """Ready at once; ends when asked, after a pause."""
    command = script(_GRACEFUL.format(pause_seconds=pause_seconds))
    return Service(name, command, os.environ, SAYS_READY)


def stubborn(name: str) -> Service:
    """Takes no notice of SIGTERM, and has a child that nobody else knows of."""
    return Service(name, script(_STUBBORN), os.environ, SAYS_READY, stop_seconds=0.2)


def broker(folder: Path) -> Service:
    valkey.prepare(folder)

    async def is_up() -> bool:
        return await valkey.is_up(valkey.broker_url(folder))

    return Service("broker", valkey.server_command(folder), os.environ, is_up)


@dataclass
class Running:
    """A supervisor at work, and what its services wrote."""

    supervisor: Supervisor
    stopping: asyncio.Event
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Ends with what was written while it stopped."""

    def status(self, name: str) -> ServiceStatus:
        return next(status for status in self.supervisor.status() if status.name == name)

    def process_id(self, name: str) -> int:
        process_id = self.status(name).process_id
        assert process_id is not None
        return process_id

    async def is_back(self, name: str, restarts: int) -> None:
        """Waits until a service has been started again so often and is ready."""

        def back() -> bool:
            status = self.status(name)
            return status.restarts >= restarts and status.state is ServiceState.READY

        await until(back)


@asynccontextmanager
async def supervised(
    services: Sequence[Service], patience: Patience = QUICK
) -> AsyncIterator[Running]:
    """All services ready; stopped at the end."""
    ready = asyncio.Event()
    lines: list[tuple[str, str]] = []
    supervisor = Supervisor(services, lambda name, line: lines.append((name, line)), patience)
    running = Running(supervisor, asyncio.Event(), lines)
    task = asyncio.create_task(supervisor.run(running.stopping, ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait(
            {task, waiting}, timeout=LIMIT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not task.done():
            assert ready.is_set()
            yield running
    finally:
        waiting.cancel()
        running.stopping.set()
        await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def is_gone(process_id: int) -> bool:
    """Whether there is no such process, or only its exit status is left."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


async def _main(folder: Path) -> None:
    def show() -> None:
        ids = [status.process_id for status in supervisor.status()]
        print(json.dumps(ids), flush=True)

    services = [broker(folder), graceful("one"), graceful("two")]
    supervisor = Supervisor(services, lambda _name, _line: None)
    await supervisor.run(asyncio.Event(), show)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
