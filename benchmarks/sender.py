"""Benchmark of the transaction sender: `python -m benchmarks.sender` (or `make bench-sender`).

On a dev chain with a block a second: the time that the sender itself takes for a transaction,
apart from the node's answers; a hundred sessions' proofs in flight at once, against one after
another; and a soak of 500 submissions by processes that are killed at random. Writes a table
(Markdown) and the raw figures (JSON) to `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from platformless.chain.connection import Chain
from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.chain.marketplace import Marketplace
from platformless.chain.money import NATIVE
from platformless.chain.rpc import RpcEndpoints
from platformless.chain.sending.sender import TransactionSender
from platformless.chain.sending.settings import SenderSettings
from tests.chain.soak import SoakReport, run_soak, submission_of
from tests.chain.world import NATIVE_PRICE, World

from .machine import machine

RESULTS = Path(__file__).parent / "results"
SESSIONS = 100
ROUNDS = 5
KILLS = 25
ONE_BY_ONE = 10
SETTINGS = SenderSettings(confirmations=2, poll_seconds=0.1)


@dataclass(frozen=True)
class Figures:
    """Milliseconds and seconds, as named."""

    own_ms_median: float
    own_ms_p95: float
    own_ms_median_with_pending: float
    own_ms_p95_with_pending: float
    node_ms_median: float
    requests_each: float
    in_flight_seconds: float
    one_by_one_seconds_each: float
    soak: SoakReport


class Stopwatch:
    """Notes when a connection waits for the node."""

    def __init__(self) -> None:
        self.intervals: list[tuple[float, float]] = []

    @contextmanager
    def watch(self, endpoints: RpcEndpoints) -> Iterator[None]:
        ask = endpoints.ask

        async def timed(method: str, *params: Any) -> Any:
            started = time.perf_counter()
            try:
                return await ask(method, *params)
            finally:
                self.intervals.append((started, time.perf_counter()))

        endpoints.ask = timed  # type: ignore[method-assign]
        try:
            yield
        finally:
            endpoints.ask = ask  # type: ignore[method-assign]

    def waited(self, started: float, ended: float) -> float:
        """Seconds of a time in which at least one request was under way."""
        total, reached = 0.0, started
        for low, high in sorted(self.intervals):
            low, high = max(low, reached), min(high, ended)
            if high > low:
                total, reached = total + high - low, high
        return total


async def open_sessions(world: World, count: int) -> list[int]:
    """Many at once: a hundred of the client's transactions are in flight."""
    sender = await world.sender("client")
    offer = world.offer(deposit=NATIVE.amount("0.01"), price=NATIVE_PRICE)
    call = world.marketplace.open_session(offer)
    base = time.monotonic_ns()
    opened = await asyncio.gather(*(sender.send(f"{base} {n}", call) for n in range(count)))
    sessions = [await world.opened_by(confirmed) for confirmed in opened]
    await world.pass_time(2)  # the rate limit allows the first claim
    return sessions


async def measure(dev_chain: DevChain, folder: Path) -> Figures:
    async with World(dev_chain, folder) as world:
        sessions = await open_sessions(world, SESSIONS)
        alone = await own_time(world, folder, sessions[:50], pending=0)
        crowded = await own_time(world, folder, sessions[50:], pending=100)
        in_flight = await all_at_once(world, folder, await open_sessions(world, SESSIONS))
        one_by_one = await one_after_another(world, folder, await open_sessions(world, ONE_BY_ONE))
        soaked = await open_sessions(world, SESSIONS)
    say(f"soak of {SESSIONS * ROUNDS} submissions")
    report = await run_soak(
        dev_chain.network, folder, soaked, ROUNDS, kills=KILLS, kill_after_seconds=(1.5, 2.6)
    )
    return Figures(
        own_ms_median=statistics.median(alone.own),
        own_ms_p95=percentile(alone.own, 95),
        own_ms_median_with_pending=statistics.median(crowded.own),
        own_ms_p95_with_pending=percentile(crowded.own, 95),
        node_ms_median=statistics.median(alone.node),
        requests_each=alone.requests,
        in_flight_seconds=in_flight,
        one_by_one_seconds_each=one_by_one,
        soak=report,
    )


@dataclass(frozen=True)
class Split:
    """Milliseconds of each transaction: the sender's own, and waiting for the node."""

    own: list[float]
    node: list[float]
    requests: float


async def own_time(world: World, folder: Path, sessions: list[int], *, pending: int) -> Split:
    """Submits one transaction at a time, on a chain that mines nothing meanwhile."""
    say(f"the sender's own time, with {pending} transactions pending")
    await world.chain.command("evm_setAutomine", False)
    own, node, requests = [], [], 0
    async with (
        Chain(world.network) as chain,
        TransactionSender(
            chain, world.account("host"), folder / f"own{pending}.db", SETTINGS
        ) as sender,
    ):
        marketplace = Marketplace(chain)
        approval = world.usdc.approve(world.network.marketplace, world.network.usdc.amount(1))
        await world.chain.command("evm_setIntervalMining", 0)
        for number in range(pending):
            await sender.submit(f"pending {number}", approval)
        sender._keeping.cancel()  # its rounds would count as the node's time
        stopwatch = Stopwatch()
        with stopwatch.watch(chain._endpoints):
            for session in sessions:
                call = marketplace.submit_proof(submission_of(session, 1000 + pending))
                before = len(stopwatch.intervals)
                started = time.perf_counter()
                await sender.submit(f"own {session}", call)
                ended = time.perf_counter()
                waited = stopwatch.waited(started, ended)
                own.append(1000 * (ended - started - waited))
                node.append(1000 * waited)
                requests += len(stopwatch.intervals) - before
    await world.chain.command("evm_setAutomine", True)
    await world.chain.command("evm_setIntervalMining", 1)
    await world.chain.command("evm_mine")
    return Split(own, node, requests / len(sessions))


async def all_at_once(world: World, folder: Path, sessions: list[int]) -> float:
    say(f"{len(sessions)} proofs in flight")
    async with TransactionSender(
        world.chain, world.account("host"), folder / "flight.db", SETTINGS
    ) as sender:
        calls = [world.marketplace.submit_proof(submission_of(one, 0)) for one in sessions]
        started = time.perf_counter()
        await asyncio.gather(*(sender.send(f"{n}", call) for n, call in enumerate(calls)))
        return time.perf_counter() - started


async def one_after_another(world: World, folder: Path, sessions: list[int]) -> float:
    """Seconds for each, when the next is sent only after the last is final."""
    say(f"{len(sessions)} proofs one after another")
    async with TransactionSender(
        world.chain, world.account("host"), folder / "queue.db", SETTINGS
    ) as sender:
        started = time.perf_counter()
        for session in sessions:
            call = world.marketplace.submit_proof(submission_of(session, 0))
            await sender.send(f"{session}", call)
        return (time.perf_counter() - started) / len(sessions)


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def table(figures: Figures) -> str:
    soak = figures.soak
    rows = {
        "sender's own time a transaction, nothing pending": (
            f"{figures.own_ms_median:.1f} ms (95 %: {figures.own_ms_p95:.1f} ms)"
        ),
        "the same with 100 pending": (
            f"{figures.own_ms_median_with_pending:.1f} ms "
            f"(95 %: {figures.own_ms_p95_with_pending:.1f} ms)"
        ),
        "waiting for the node, the same transaction": (
            f"{figures.node_ms_median:.1f} ms, {figures.requests_each:.1f} requests"
        ),
        f"{SESSIONS} sessions' proofs, all in flight, until final": (
            f"{figures.in_flight_seconds:.1f} s"
        ),
        "one proof at a time, until final": f"{figures.one_by_one_seconds_each:.2f} s each",
        f"soak: {soak.submissions} submissions, {soak.kills} times kill -9": (
            f"{soak.seconds:.0f} s; mined exactly once: {soak.times_mined.get(1, 0)}, "
            f"states {soak.states}"
        ),
    }
    lines = ["| what | measured |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows.items()])


def say(text: str) -> None:
    print(text, file=sys.stderr)


async def run() -> Figures:
    with tempfile.TemporaryDirectory() as folder, await start_dev_chain() as dev_chain:
        return await measure(dev_chain, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    figures = asyncio.run(run())
    text = "\n".join(
        (
            table(figures),
            "",
            "Dev chain with a block a second; final means two confirmations.",
            "",
            machine(),
        )
    )
    (arguments.out / "sender.md").write_text(text + "\n")
    (arguments.out / "sender.json").write_text(json.dumps(asdict(figures), indent=1) + "\n")
    print(text)
    if not figures.soak.exactly_once:
        sys.exit("the soak lost or repeated a submission")


if __name__ == "__main__":
    main()
