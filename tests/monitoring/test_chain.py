"""What the chain says of a host, from a real chain."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.chain.networks import Network
from platformless.node.monitoring.chain import ChainWatch, Pace, chain_families, head_reading
from platformless.node.monitoring.exposition import exposed
from tests.chain.faulty import FaultyNode, for_method, reply
from tests.chain.world import World

from .scraping import Samples, lint, names, samples_of, value
from .waiting import until

QUICK = Pace(head_seconds=0.05, account_seconds=0.05)
ACCOUNT = {
    "registered",
    "stake_fab",
    "required_stake_fab",
    "account_balance_eth",
    "gas_price_wei",
    "earnings_withdrawable",
}
HEAD = {"chain_head_block", "chain_head_age_seconds", "chain_lag_blocks"}
ALWAYS = {"chain_reachable", "chain_silent_seconds"}


def watch_of(world: World, name: str = "host", network: Network | None = None) -> ChainWatch:
    return ChainWatch(network or world.network, world.address(name), pace=QUICK)


def told(watch: ChainWatch) -> Samples:
    return samples_of(exposed(chain_families(watch.reading())).decode())


async def test_a_registered_host_is_told_with_its_stake_and_money(world: World) -> None:
    async with watch_of(world) as watch:
        await until(lambda: watch.reading().credited is not None)
        text = exposed(chain_families(watch.reading())).decode()
    assert lint(text) == ""
    samples = samples_of(text)
    assert names(samples) == ACCOUNT | HEAD | ALWAYS | {"earnings_total"}
    assert value(samples, "chain_reachable") == value(samples, "registered") == 1
    assert value(samples, "stake_fab") == value(samples, "required_stake_fab") > 0
    balance = await world.chain.balance(world.address("host"))
    assert value(samples, "account_balance_eth") == pytest.approx(balance / 1e18)
    assert value(samples, "gas_price_wei") > 0
    for token in ("ETH", "USDC"):
        assert value(samples, "earnings_total", {"token": token}) == 0


async def test_a_stranger_is_not_registered(world: World) -> None:
    async with watch_of(world, "client") as watch:
        await until(lambda: watch.reading().account is not None)
        samples = told(watch)
    assert value(samples, "registered") == value(samples, "stake_fab") == 0


async def test_what_a_session_earned_is_counted_once_and_not_lost_when_withdrawn(
    world: World,
) -> None:
    usdc = {"token": "USDC"}
    before = (await world.earnings.balance(world.address("host"), world.network.usdc)).units
    async with watch_of(world) as watch:
        await until(lambda: watch.reading().credited is not None)
        session_id = await world.open_session()
        await world.pass_time(60)
        submission = world.submission(session_id, 100)
        await world.send("host", world.marketplace.submit_proof(submission))
        await world.send("client", world.marketplace.complete(session_id, "uConversation"))
        now = (await world.earnings.balance(world.address("host"), world.network.usdc)).units
        earned = (now - before) / 1e6
        assert earned > 0
        await until(lambda: value(told(watch), "earnings_total", usdc) > 0)
        assert value(told(watch), "earnings_total", usdc) == pytest.approx(earned)
        await until(
            lambda: value(told(watch), "earnings_withdrawable", usdc) == pytest.approx(now / 1e6)
        )
        await world.send("host", world.earnings.withdraw_all([world.network.usdc]))
        await until(lambda: value(told(watch), "earnings_withdrawable", usdc) == 0)
        assert value(told(watch), "earnings_total", usdc) == pytest.approx(earned)


async def test_an_endpoint_that_another_one_is_ahead_of_lags(world: World) -> None:
    async with FaultyNode(world.dev_chain.rpc_url) as old:
        head = await world.chain.command("eth_getBlockByNumber", "latest", False)
        stale = {**head, "number": hex(int(head["number"], 16) - 7)}
        old.fault = for_method("eth_getBlockByNumber", reply(result=stale))
        urls = (old.url, world.dev_chain.rpc_url)
        async with watch_of(world, network=replace(world.network, rpc_urls=urls)) as watch:
            await until(lambda: watch.reading().head is not None)
            assert value(told(watch), "chain_lag_blocks") >= 7


def test_lag_is_the_heads_age_in_blocks_of_two_seconds() -> None:
    assert head_reading(100, timestamp=1000, now=1300, best=None).lag_blocks == 150
    assert head_reading(100, timestamp=1000, now=1001, best=120).lag_blocks == 20
    ahead = head_reading(100, timestamp=1000, now=900, best=90)
    assert (ahead.age_seconds, ahead.lag_blocks) == (0, 0)


async def test_what_one_contract_does_not_tell_leaves_out_only_that(world: World) -> None:
    async with FaultyNode(world.dev_chain.rpc_url) as node:
        node.fault = for_method(
            "eth_getLogs", reply(error={"code": -32005, "message": "range too large"})
        )
        network = replace(world.network, rpc_urls=(node.url,))
        async with watch_of(world, network=network) as watch:
            await until(lambda: watch.reading().account is not None)
            await until(lambda: node.asked["eth_getLogs"] > 2)
            assert names(told(watch)) == ACCOUNT | HEAD | ALWAYS
            node.fault = None
            await until(lambda: "earnings_total" in names(told(watch)))


@pytest.fixture
def own_chain() -> Iterator[DevChain]:
    """One that a test may stop."""
    with asyncio.run(start_dev_chain()) as chain:
        yield chain


async def test_a_chain_that_falls_silent_leaves_nothing_old_and_comes_back(
    own_chain: DevChain, tmp_path: Path
) -> None:
    async with World(own_chain, tmp_path) as world:
        async with watch_of(world) as watch:
            await until(lambda: watch.reading().credited is not None)
            os.kill(own_chain.process_id, signal.SIGSTOP)
            try:
                await until(lambda: not watch.reading().is_reachable)
                samples = told(watch)
                assert names(samples) == ALWAYS
                assert value(samples, "chain_reachable") == 0
                assert value(samples, "chain_silent_seconds") > 0
            finally:
                os.kill(own_chain.process_id, signal.SIGCONT)
            await until(lambda: watch.reading().credited is not None)
            assert value(told(watch), "chain_reachable") == 1
