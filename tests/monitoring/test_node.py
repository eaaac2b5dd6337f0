"""A real node over a real chain, asked how it is before, during and after it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from platformless.chain.devchain import DevChain
from tests.chain.world import World
from tests.node.served import until
from tests.node.test_strangers import wallet_proof
from tests.node.wire import Wire

from .observed import A16, Observed, observed
from .scraping import Samples, lint, names, samples_of, scraped, value

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALONE = {"engine_sequences": 1, "trusted_proxies": "127.0.0.1"}
LONG = "Write a very long story about the sea, with many chapters."
CONTRACT = {
    # system
    "cpu_utilisation_ratio", "memory_used_bytes", "memory_total_bytes", "disk_free_bytes",
    "disk_total_bytes", "network_received_bytes_total", "network_sent_bytes_total",
    "gpu_available", "gpu_utilisation_ratio", "gpu_memory_used_bytes", "gpu_memory_total_bytes",
    "gpu_temperature_celsius", "oom_kills_total", "process_resident_memory_bytes",
    "process_open_fds",
    # application
    "websocket_connections", "active_sessions", "queued_prompts", "generating_prompts",
    "engine_utilisation_ratio", "prompts_total", "refused_total", "wallet_proofs_total",
    "completion_tokens_total", "generation_seconds_total", "time_to_first_token_seconds_bucket",
    "time_to_first_token_seconds_count", "time_to_first_token_seconds_sum", "idle_seconds",
    "build_info", "model_loaded", "healthy",
    # blockchain
    "stake_fab", "required_stake_fab", "registered", "earnings_withdrawable", "earnings_total",
    "account_balance_eth", "gas_price_wei", "chain_head_block", "chain_head_age_seconds",
    "chain_lag_blocks", "chain_reachable",
    # pipeline
    "jobs", "oldest_open_job_age_seconds", "proofs_confirmed_total", "proofs_under_way",
}  # fmt: skip
"""Every name that alerts and dashboards go by, except those of what there is not in a new node:
proofs, disk counters where a machine has no disk of its own, a certificate."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(
    dev_chain: DevChain, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    async with World(dev_chain, folder) as world:
        async with observed(world, folder, (A16,), None, **ALONE) as node:
            await until(lambda: is_complete(node))
            yield node


async def is_complete(node: Observed) -> bool:
    return names(await scraped(node.url)) >= {"earnings_total", "cpu_utilisation_ratio"}


def outcome(samples: Samples, name: str) -> float:
    return value(samples, "prompts_total", {"outcome": name})


async def test_every_name_of_the_contract_is_told_as_prometheus_wants_it(node: Observed) -> None:
    text = (await node.get("/metrics")).text
    assert lint(text) == ""
    assert CONTRACT - names(samples_of(text)) == set()
    samples = samples_of(text)
    assert value(samples, "registered") == value(samples, "chain_reachable") == 1
    assert value(samples, "healthy") == value(samples, "model_loaded") == 1


async def test_health_is_as_the_guide_shows_it(node: Observed) -> None:
    for path in ("/health", "/v1/health", "/status"):
        assert await node.json(path) == {
            "status": "healthy",
            "issues": [],
            "gpu": {
                "available": True,
                "model": "NVIDIA A16",
                "vram_total": 2048,
                "vram_used": 1024,
                "temperature": 55,
            },
            "gpu_available": True,
            "model_loaded": True,
            "active_sessions": 0,
        }
    reply = await node.get("/ready")
    assert (reply.status_code, reply.json()) == (200, {"ready": True, "reasons": []})


async def test_values_move_with_an_answer(node: Observed) -> None:
    before = await scraped(node.url)
    assert value(before, "websocket_connections") == value(before, "active_sessions") == 0
    session_id = await node.nodes.world.open_session()
    async with node.nodes.wire(node.node, session_id) as wire:
        assert (await wire.begin())["type"] == "session_init_ack"
        await wire.send(wire.prompt(LONG, 64))
        await wire.next("encrypted_chunk")
        during = await scraped(node.url)
        answer = await wire.streamed()
    await until(lambda: is_left(node))
    after = await scraped(node.url)
    assert value(during, "websocket_connections") == value(during, "active_sessions") == 1
    assert value(during, "generating_prompts") == value(during, "engine_utilisation_ratio") == 1
    assert value(during, "idle_seconds") == 0
    assert value(after, "engine_utilisation_ratio") == value(after, "websocket_connections") == 0
    assert outcome(after, "complete") == outcome(before, "complete") + 1
    assert outcome(after, "error") == outcome(before, "error")
    tokens = answer.end["usage"]["completion_tokens"]
    told = value(after, "completion_tokens_total") - value(before, "completion_tokens_total")
    assert told == tokens > 1
    name = "time_to_first_token_seconds_count"
    assert value(after, name) == value(before, name) + 1
    name = "generation_seconds_total"
    assert value(after, name) > value(before, name)


async def is_left(node: Observed) -> bool:
    return value(await scraped(node.url), "active_sessions") == 0


async def test_prompts_in_line_and_cancelled_ones_are_told(node: Observed) -> None:
    world, before = node.nodes.world, await scraped(node.url)
    first, second = await world.open_session(), await world.open_session()
    async with (
        node.nodes.wire(node.node, first) as busy,
        node.nodes.wire(node.node, second, b"\x22" * 32) as waiting,
    ):
        for wire in (busy, waiting):
            await wire.begin()
        await busy.send(busy.prompt(LONG, 800))
        await busy.next("encrypted_chunk")
        await waiting.send(waiting.prompt())
        await waiting.next("queue_position")
        during = await scraped(node.url)
        signals = await node.json("/v1/autoscaling")
        await busy.send({"type": "stream_cancel"})
        await asyncio.gather(busy.streamed(), waiting.streamed())
    after = await scraped(node.url)
    assert value(during, "queued_prompts") == value(during, "generating_prompts") == 1
    assert value(during, "active_sessions") == 2
    assert (signals["queue_depth"], signals["active_sessions"]) == (1, 2)
    assert outcome(after, "cancelled") == outcome(before, "cancelled") + 1


async def test_wallets_that_prove_themselves_or_do_not_are_counted(node: Observed) -> None:
    before = await scraped(node.url)
    session_id = await node.nodes.world.open_session()
    async with node.nodes.wire(node.node, session_id) as wire:
        foreign = await wallet_proof(node.node, session_id, b"\x66" * 32)
        assert (await wire.begin(wallet=foreign))["code"] == "WRONG_WALLET"
        proof = await wallet_proof(node.node, session_id)
        assert (await wire.begin(wallet=proof))["type"] == "session_init_ack"
        assert (await wire.begin(wallet=proof))["code"] == "CHALLENGE_UNKNOWN"
    after = await scraped(node.url)
    for result, count in (("accepted", 1), ("refused", 2)):
        name, labels = "wallet_proofs_total", {"result": result}
        assert value(after, name, labels) == value(before, name, labels) + count


async def test_signals_for_scaling_are_plain_numbers(node: Observed) -> None:
    signals = await node.json("/v1/autoscaling?replicas=3")
    assert signals["format"] == "autoscaling/1"
    assert signals["recommendation"] in {"up", "hold"}
    assert signals["replicas"] == 3
    assert signals["desired_replicas"] >= 3
    assert signals["gpu_utilisation"] == 0.42
    for refused in ("0", "-1", "x", "1e3", "9" * 30):
        reply = await node.get(f"/v1/autoscaling?replicas={refused}")
        assert (reply.status_code, reply.json()["code"]) == (400, "NOD-804")


async def test_the_number_of_series_does_not_grow_with_sessions_and_addresses(
    node: Observed,
) -> None:
    few = set(await scraped(node.url))
    for number in range(20):
        session_id = await node.nodes.world.open_session()
        key = (number + 1).to_bytes(32)
        async with node.nodes.wire(node.node, session_id, key) as wire:
            assert await wire.answer(max_tokens=2)
        address = f"198.51.100.{number}"
        assert (await node.get("/v1/version", **{"x-forwarded-for": address})).status_code == 200
    assert set(await scraped(node.url)) - few == set()


async def test_metrics_are_for_those_who_show_the_token(node: Observed, tmp_path: Path) -> None:
    world = node.nodes.world
    async with observed(world, tmp_path, metrics_token="open-sesame") as guarded:  # noqa: S106
        for path in ("/metrics", "/v1/autoscaling"):
            for shown in (
                "",
                "Bearer",
                "Bearer wrong",
                "Basic open-sesame",
                "Bearer open-sesam\xe9",
            ):
                reply = await guarded.get(path, authorization=shown)
                assert (reply.status_code, reply.json()["code"]) == (401, "NOD-901"), shown
                assert reply.headers["www-authenticate"] == "Bearer"
                assert "open-sesame" not in reply.text
            reply = await guarded.get(path, authorization="Bearer open-sesame")
            assert reply.status_code == 200
        assert (await guarded.get("/health")).status_code == 200
        assert value(await scraped(guarded.url, "open-sesame"), "healthy") == 1
        assert value(await scraped(guarded.url, "open-sesame"), "gpu_available") == 0
    await node.nodes.announce(node.url)


async def test_a_node_that_drains_is_well_but_not_ready(node: Observed, tmp_path: Path) -> None:
    world = node.nodes.world
    async with observed(world, tmp_path) as draining:
        session_id = await world.open_session()
        async with draining.nodes.wire(draining.node, session_id) as wire:
            await wire.begin()
            await wire.send(wire.prompt(LONG, 800))
            await wire.next("encrypted_chunk")
            stopping = asyncio.create_task(draining.node.sessions.drain(60))
            await asyncio.sleep(0)
            reply = await draining.get("/ready")
            assert reply.status_code == 503
            assert reply.json()["reasons"] == ["the node is about to stop"]
            assert (await draining.json("/health"))["status"] == "healthy"
            assert value(await scraped(draining.url), "draining") == 1
            assert (await draining.json("/v1/autoscaling"))["recommendation"] == "hold"
            await cancelled(wire)
            await stopping
    await node.nodes.announce(node.url)


async def cancelled(wire: Wire) -> None:
    await wire.send({"type": "stream_cancel"})
    await wire.streamed()
