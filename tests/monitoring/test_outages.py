"""A chain and a ledger that do not answer: what a node tells, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.node.monitoring.chain import ChainReading
from platformless.node.monitoring.condition import CHAIN_BORNE_SECONDS, ready_body
from platformless.node.monitoring.gpu import Gpus
from platformless.node.monitoring.load import Load
from platformless.prover.ledger.errors import LedgerUnavailable
from tests.chain.world import World
from tests.node.served import until

from .observed import Observed, observed
from .scraping import names, scraped, value

CLIENT_SECONDS = 3.0
"""What existing clients wait for `/health`."""


@pytest.fixture
def own_chain() -> Iterator[DevChain]:
    """One that a test may stop."""
    with asyncio.run(start_dev_chain()) as chain:
        yield chain


async def is_noticed(node: Observed) -> bool:
    return await node.status() == "degraded"


async def is_told(node: Observed) -> bool:
    return "earnings_total" in names(await scraped(node.url))


async def test_a_chain_that_stands_still_is_told_and_nobody_waits_for_it(
    own_chain: DevChain, tmp_path: Path
) -> None:
    async with World(own_chain, tmp_path) as world, observed(world, tmp_path) as node:
        await until(lambda: is_told(node))
        os.kill(own_chain.process_id, signal.SIGSTOP)
        try:
            await until(lambda: is_noticed(node))
            async with asyncio.timeout(CLIENT_SECONDS):
                health = await node.json("/health")
            assert [issue[: issue.index("for")] for issue in health["issues"]] == [
                "chain: no answer "
            ]
            async with asyncio.timeout(CLIENT_SECONDS):
                samples = await scraped(node.url)
            assert value(samples, "chain_reachable") == value(samples, "healthy") == 0
            told = names(samples)
            assert not told & {"stake_fab", "earnings_total", "chain_head_block", "registered"}
            assert {"memory_used_bytes", "jobs", "model_loaded"} <= told
            assert (await node.get("/ready")).status_code == 200
        finally:
            os.kill(own_chain.process_id, signal.SIGCONT)
        await until(lambda: is_told(node))
        await until(lambda: is_healthy(node))


async def is_healthy(node: Observed) -> bool:
    return await node.status() == "healthy"


class Silent:
    """A node whose chain has been silent for so long."""

    gpus: Gpus = ()
    load = Load(0, 0, 0, 0, 1, is_model_loaded=True, is_draining=False)

    def __init__(self, seconds: float) -> None:
        self.chain = ChainReading(silent_seconds=seconds)


def test_a_node_is_ready_for_as_long_as_a_silent_chain_is_borne() -> None:
    assert ready_body([], Silent(CHAIN_BORNE_SECONDS)).ready
    unready = ready_body(["ledger: failed"], Silent(CHAIN_BORNE_SECONDS + 1))
    assert not unready.ready
    assert unready.reasons == ["ledger: failed", "chain: no answer for 121 s"]


async def test_a_ledger_that_fails_leaves_the_rest_of_the_metrics(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise LedgerUnavailable("the disk is full")

    async with observed(world, tmp_path) as node:
        await until(lambda: is_told(node))
        monkeypatch.setattr(node.node.ledger, "open_sessions", fail)
        monkeypatch.setattr(node.node.monitor._pipeline, "numbers", fail)
        await until(lambda: is_unready(node))
        assert (await node.get("/ready")).json()["reasons"] == ["ledger: failed"]
        samples = await scraped(node.url)
        assert value(samples, "healthy") == value(samples, "ledger_reachable") == 0
        assert "jobs" not in names(samples)
        assert {"memory_used_bytes", "chain_head_block", "prompts_total"} <= names(samples)


async def is_unready(node: Observed) -> bool:
    return (await node.get("/ready")).status_code == 503


async def test_a_ledger_that_hangs_is_asked_once_and_told_when_it_answers(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, going_on = 0, asyncio.Event()
    async with observed(world, tmp_path) as node:
        numbers = node.node.monitor._pipeline.numbers

        async def hang() -> object:
            nonlocal asked
            asked += 1
            await going_on.wait()
            return await numbers()

        monkeypatch.setattr(node.node.monitor._pipeline, "numbers", hang)
        for _ in range(2):
            assert "jobs" not in names(await scraped(node.url))
        assert asked == 1
        going_on.set()
        assert "jobs" in names(await scraped(node.url))
