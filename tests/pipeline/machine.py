"""A machine with a whole node on it, whose processes are killed.

Every process of it has the machine's folder in its environment or on its command line, or is in it:
that is how they are found, also those that nobody knows of.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from platformless.node.supervisor.run import free_port

from .stand_in_worker import SECONDS

_LOOK_SECONDS = 0.05
_PATIENT_SECONDS = 120.0
_KINDS = {
    "rpc": re.compile("-m tests.pipeline.relay "),
    "broker": re.compile("valkey-server "),
    "portal": re.compile("-m platformless.node s5-portal "),
    "node": re.compile("-m platformless.node serve "),
    "settlement": re.compile("-m platformless.node worker --queues settlement "),
    "prover": re.compile(
        "-m (tests.pipeline.stand_in_worker|platformless.node worker --queues live)"
    ),
    "stark-prover": re.compile("/stark-prover "),
}
"""What is on a process's command line, by its name here."""


class Machine:
    """A node with `environment`, in `folder`.

    Args:
        chain_url: Of the real chain, which the node reaches by a relay only.
        stand_in_seconds: How long the stand-in takes for a proof; None for real proofs.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        chain_url: str,
        stand_in_seconds: float | None,
    ) -> None:
        self.folder = folder
        self.kills = Counter[str]()
        """How often a process was killed, by its name."""
        self.scratch = folder / "scratch"
        """Where its processes make temporary files."""
        self.scratch.mkdir()
        relay_port, api_port = free_port("127.0.0.1"), free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{api_port}"
        relay_url = f"http://127.0.0.1:{relay_port}"
        self._environment = {
            **os.environ,
            **environment,
            "RPC_URL": relay_url,
            "RPC_URL_BASE_SEPOLIA": relay_url,
            "API_PORT": str(api_port),
            "TMPDIR": str(self.scratch),
            SECONDS: str(stand_in_seconds),
            "dramatiq_restart_delay": "200",  # it is meant for a broker that is somewhere else
        }
        self._words = [str(relay_port), str(urlsplit(chain_url).port)]
        if stand_in_seconds is not None:
            self._words.append("stand-in")
        self._starts = 0
        self._supervisor: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts the supervisor; what it runs is not waited for."""
        self._starts += 1
        with (
            (self.folder / f"run-{self._starts}.json").open("wb") as out,
            (self.folder / f"run-{self._starts}.log").open("wb") as log,
        ):
            self._supervisor = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.pipeline.whole_node", *self._words),
                env=self._environment,
                cwd=Path(__file__).parents[2],
                stdout=out,
                stderr=log,
            )

    async def ready(self) -> None:
        """Every service of the newest supervisor was ready once."""
        async with asyncio.timeout(_PATIENT_SECONDS):
            while '"running"' not in (self.folder / f"run-{self._starts}.json").read_text():
                self.require_running()
                await asyncio.sleep(_LOOK_SECONDS)

    def require_running(self) -> None:
        """The supervisor did not end by itself."""
        assert self._supervisor is not None
        assert self._supervisor.returncode is None, self.log()[-4000:]

    def log(self) -> str:
        """What supervisors and services have written."""
        runs = range(1, self._starts + 1)
        return "".join(
            (self.folder / f"run-{run}.{kind}").read_text(errors="replace")
            for run in runs
            for kind in ("log", "json")
        )

    def processes(self) -> dict[int, str]:
        """Command lines of all processes of this machine, by their numbers."""
        found = {}
        mark = os.fsencode(self.folder)
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                folder = os.fsencode((entry / "cwd").readlink())
                if mark in words + folder or mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
        return found

    def of_kind(self, kind: str) -> list[int]:
        """The numbers of the processes of a name."""
        return self.of_kinds([kind]).get(kind, [])

    def of_kinds(self, kinds: Collection[str]) -> dict[str, list[int]]:
        """The same of some names, without those that no process has."""
        there = sorted(self.processes().items())
        found = {
            kind: [one for one, words in there if _KINDS[kind].search(words)] for kind in kinds
        }
        return {kind: numbers for kind, numbers in found.items() if numbers}

    async def until_there(self, kinds: Collection[str]) -> None:
        """There is a process of each name; it may be about to start."""
        async with asyncio.timeout(_PATIENT_SECONDS):
            while len(self.of_kinds(kinds)) < len(kinds):
                self.require_running()
                await asyncio.sleep(_LOOK_SECONDS)

    async def kill_one(self, chance: random.Random, kinds: Collection[str]) -> None:
        """`kill -9` for a random one of those that are there now; waits while none is."""
        while True:
            self.require_running()
            if alive := self.of_kinds(kinds):
                kind = chance.choice(sorted(alive))
                try:
                    os.kill(chance.choice(alive[kind]), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.kills[kind] += 1
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def kill_supervisor(self) -> None:
        """`kill -9` for it; nothing of what it ran is left."""
        self.require_running()
        assert self._supervisor is not None
        self._supervisor.kill()
        await self._supervisor.wait()
        self.kills["supervisor"] += 1
        await self._until_empty()

    async def stop(self) -> None:
        """As an operator does; nothing is left."""
        self.require_running()
        assert self._supervisor is not None
        self._supervisor.terminate()
        async with asyncio.timeout(_PATIENT_SECONDS):
            status = await self._supervisor.wait()
        assert status == 0, self.log()[-4000:]
        assert not self.processes()

    async def destroy(self) -> None:
        """At the end of a test that failed, and of any other."""
        if self._supervisor is not None and self._supervisor.returncode is None:
            self._supervisor.kill()
            await self._supervisor.wait()
        for process_id in self.processes():
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                continue

    async def _until_empty(self) -> None:
        """The kernel ends what a dead supervisor has left, at once; it only takes a moment."""
        try:
            async with asyncio.timeout(_PATIENT_SECONDS):
                while self.processes():
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"left behind: {self.processes()}") from None
