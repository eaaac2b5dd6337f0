"""Soak of a node: `python -m benchmarks.soak`.

An hour of a busy node in two and a half minutes: every time that the node has (a client's grace,
the end of a session that was left, the life of a key, an idle connection) is shortened
`PACE`-fold, and clients come without a pause. Sessions are opened on a dev chain, prompted, ended,
left and broken off, while others send garbage, more requests and connections than they may, and
half requests. The node is a process of its own: its memory and open files are sampled twice a
second. Writes a table (Markdown) and the raw figures (JSON) to `benchmarks/results/`, and ends with
1 when either does not hold.

Memory is what belongs to no file (`RssAnon`). It is called flat when the straight line through the
samples after the warm-up rises by less than `FLAT_BYTES` in the whole time measured: as much as
SQLite's cache of pages (2 MB a connection) and the allocator's halls for a burst of large frames
may add once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.chain.devchain.accounts import dev_account
from platformless.protocol.secrecy import PublicKeyBytes
from tests.chain.world import World

from .machine import machine
from .node_process import NodeProcess
from .soak_clients import ADDRESS_CONNECTIONS, Clients

RESULTS = Path(__file__).parent / "results"
PACE = 24
SECONDS = 150.0
WARM_UP_SHARE = 1 / 3
FLAT_BYTES = 12 << 20
SETTLE_SECONDS = 90.0
"""For the node to close what is left, and end what was left."""
POOLED_FILES = 10
"""The ledger keeps up to five connections (SQLAlchemy's pool) with two files each: those that were
used at the same time."""
_SAMPLE_SECONDS = 0.5
_SESSIONS_READY = 4
_MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """The node at a moment."""

    seconds: float
    memory_bytes: int
    open_files: int
    threads: int


@dataclass(frozen=True)
class SoakReport:
    """What was done, and what it left behind."""

    seconds: float
    sessions: int
    counts: dict[str, int]
    samples: list[Sample]
    """After the warm-up as well as in it."""
    warm_up_seconds: float
    files_at_first: int
    """After one session, before everything else."""
    files_at_last: int

    @property
    def measured(self) -> list[Sample]:
        """Without the warm-up."""
        return [one for one in self.samples if one.seconds >= self.warm_up_seconds]

    @property
    def growth_bytes(self) -> float:
        """By which memory rises from the end of the warm-up on, as a straight line fits it."""
        return rise([(one.seconds, one.memory_bytes) for one in self.measured])

    @property
    def is_flat(self) -> bool:
        return self.growth_bytes < FLAT_BYTES

    @property
    def gave_files_back(self) -> bool:
        return self.files_at_last <= self.files_at_first + POOLED_FILES

    def to_json(self) -> dict[str, object]:
        return {
            **asdict(self),
            "growth_bytes": self.growth_bytes,
            "is_flat": self.is_flat,
            "gave_files_back": self.gave_files_back,
        }


def rise(points: Sequence[tuple[float, float]]) -> float:
    """By how much the straight line through points (least squares) rises from the first to the
    last."""
    line = statistics.linear_regression(*zip(*points, strict=True))
    return line.slope * (points[-1][0] - points[0][0])


def node_settings(dev_chain: DevChain, folder: Path) -> dict[str, str]:
    """A node whose times are `PACE` times shorter than they are by default."""
    return {
        **dev_chain.environment(),
        "API_HOST": "127.0.0.1",
        "API_PORT": "0",
        "DATA_FOLDER": str(folder),
        "CONTEXT_TOKENS": "512",
        "ENGINE_THREADS": "1",
        "DISCONNECT_GRACE_SECONDS": str(15 / PACE),
        "SETTLE_IDLE_SECONDS": str(120 / PACE),
        "SESSION_KEY_TTL_SECONDS": str(3600 / PACE),
        "IDLE_CONNECTION_SECONDS": str(600 / PACE),
        "DRAIN_SECONDS": "0",
        "MAX_CONNECTIONS_PER_ADDRESS": str(ADDRESS_CONNECTIONS),
        "PROMPTS_PER_MINUTE_PER_WALLET": "100000",
    }


class Soak:
    """One node, soaked."""

    def __init__(self, world: World, node: NodeProcess) -> None:
        self._world = world
        self._node = node
        self._clients = Clients(node.url, PublicKeyBytes.of(bytes(dev_account("host").key)))
        self._ready: asyncio.Queue[int] = asyncio.Queue(_SESSIONS_READY)
        self._sessions = 0
        self._samples: list[Sample] = []

    async def run(self, seconds: float) -> SoakReport:
        """Raises:
        RuntimeError: when a client of a kind that must be served was not.
        """
        clients = self._clients
        await clients.talks(await self._world.open_session())
        files_at_first = self._node.open_files
        self._began = time.monotonic()
        ways = [clients.talks, clients.vanishes, clients.leaves, clients.asks_over_http]
        kinds = [
            *(self._honest(way) for way in ways),
            *(self._again(way) for way in (clients.talks_nonsense, clients.crowds)),
            *(self._again(way) for way in (clients.floods, clients.dribbles)),
            self._open_sessions(),
            self._sample(),
        ]
        tasks = [asyncio.create_task(kind) for kind in kinds]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            raise RuntimeError("a client gave up") from task.exception()
        return SoakReport(
            seconds=seconds,
            sessions=self._sessions,
            counts=dict(sorted(clients.counts.items())),
            samples=self._samples,
            warm_up_seconds=seconds * WARM_UP_SHARE,
            files_at_first=files_at_first,
            files_at_last=await self._files_when_quiet(files_at_first + POOLED_FILES),
        )

    async def _honest(self, way: Callable[[int], Awaitable[None]]) -> None:
        while True:
            await way(await self._ready.get())

    async def _again(self, way: Callable[[], Awaitable[None]]) -> None:
        while True:
            await way()
            await asyncio.sleep(0.5)

    async def _open_sessions(self) -> None:
        while True:
            await self._ready.put(await self._world.open_session())
            self._sessions += 1

    async def _sample(self) -> None:
        while True:
            self._samples.append(
                Sample(
                    round(time.monotonic() - self._began, 2),
                    self._node.anonymous_bytes,
                    self._node.open_files,
                    self._node.threads,
                )
            )
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _files_when_quiet(self, most: int) -> int:
        """Open files once everybody has gone; looked for until they are as few as at first."""
        end = time.monotonic() + SETTLE_SECONDS
        while (files := self._node.open_files) > most and time.monotonic() < end:
            await asyncio.sleep(_SAMPLE_SECONDS)
        return files


async def soaked(dev_chain: DevChain, folder: Path, seconds: float) -> SoakReport:
    """Soaks a node of its own on a chain."""
    async with World(dev_chain, folder) as world:
        settings = node_settings(dev_chain, folder / "node")
        node = await asyncio.to_thread(NodeProcess, settings)
        try:
            return await Soak(world, node).run(seconds)
        finally:
            await asyncio.to_thread(node.__exit__, None, None, None)


def table(report: SoakReport) -> str:
    first, last = report.measured[0], report.measured[-1]
    flat = "flat" if report.is_flat else "not flat"
    rows = {
        "time, as if at the usual pace": f"{report.seconds:.0f} s, {PACE} times as long",
        "sessions opened on the chain": f"{report.sessions}",
        **{name: f"{count:,}" for name, count in report.counts.items()},
        "memory at the end of the warm-up, at the end": (
            f"{first.memory_bytes / _MIB:.1f} MiB, {last.memory_bytes / _MIB:.1f} MiB"
        ),
        "rise of the line through the samples after the warm-up": (
            f"{report.growth_bytes / _MIB:+.1f} MiB in {last.seconds - first.seconds:.0f} s: {flat}"
        ),
        "most threads": f"{max(one.threads for one in report.samples)}",
        "open files: at first, most, when all had gone": (
            f"{report.files_at_first}, {max(one.open_files for one in report.samples)}, "
            f"{report.files_at_last}"
        ),
    }
    lines = ["| what | measured |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows.items()])


async def run(seconds: float) -> SoakReport:
    with tempfile.TemporaryDirectory() as folder, await start_dev_chain() as dev_chain:
        return await soaked(dev_chain, Path(folder), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    report = asyncio.run(run(arguments.seconds))
    text = "\n".join(
        (
            table(report),
            "",
            f"Dev chain and clients share the cores with the node. Flat: less than "
            f"{FLAT_BYTES / _MIB:.0f} MiB.",
            "",
            machine(),
        )
    )
    (arguments.out / "soak.md").write_text(text + "\n")
    (arguments.out / "soak.json").write_text(json.dumps(report.to_json(), indent=1) + "\n")
    print(text)
    if not (report.is_flat and report.gave_files_back):
        sys.exit("the node does not come back to where it was")


if __name__ == "__main__":
    main()
