"""The DHT beside a node: what its process signs, what the chain confirms, what a node bears."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from platformless.chain.devchain import DevChain
from platformless.node.p2p.checking import Wanted, believed, require_registered
from platformless.node.p2p.errors import NotOnChain
from platformless.node.p2p.identity import kept_identity
from platformless.node.p2p.keeping import LIFETIME_SECONDS, RecordKeeper
from platformless.node.p2p.record_file import record_path
from platformless.node.supervisor.run import free_port
from platformless.protocol import node_record
from platformless.protocol.errors import NodeRecordRefused
from platformless.protocol.host_key import LocalKey
from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.world import World
from tests.node.world import NodeWorld

from .parts import ROOT, Finder, environment, participant, read_object, until
from .records import OTHER_MODEL, leave_record, record_of


@pytest.fixture
async def world(dev_chain: DevChain, tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "senders"
    folder.mkdir()
    async with World(dev_chain, folder) as world:
        yield world


def _key(world: World, name: str) -> LocalKey:
    return LocalKey(bytes(world.account(name).key))


async def test_a_node_signs_what_the_chain_says_of_its_host(world: World, tmp_path: Path) -> None:
    key, now = _key(world, "host"), 1_800_000_000
    models = (OTHER_MODEL, world.model_id)
    keeper = RecordKeeper(world.chain, key, models, tmp_path, lambda: now)
    signed = await keeper.renew()
    assert signed is not None
    assert record_path(tmp_path).read_bytes() == signed.encode()
    record = signed.record
    assert record.models == (world.model_id,)  # the other one is not the host's on chain
    host = await world.nodes.host(key.address)
    assert host is not None
    assert (record.host, record.api_url) == (key.address, host.api_url)
    assert record.peer_id == kept_identity(tmp_path).peer_id
    assert record.expires_at == now + LIFETIME_SECONDS
    wanted = Wanted(world.network.chain_id, world.network.marketplace, world.model_id)
    assert believed(signed.encode(), record.peer_id, wanted, now) == signed
    await require_registered(world.chain, signed, world.model_id)


async def test_a_host_that_the_chain_does_not_know_is_not_announced(
    world: World, tmp_path: Path
) -> None:
    known = RecordKeeper(world.chain, _key(world, "host"), (world.model_id,), tmp_path)
    assert await known.renew() is not None
    other_model = RecordKeeper(world.chain, _key(world, "host"), (OTHER_MODEL,), tmp_path)
    assert await other_model.renew() is None
    assert not record_path(tmp_path).exists()
    stranger = RecordKeeper(world.chain, _key(world, "auditor"), (world.model_id,), tmp_path)
    assert await stranger.renew() is None


async def test_a_record_is_there_while_its_node_runs(world: World, tmp_path: Path) -> None:
    keeper = RecordKeeper(world.chain, _key(world, "host"), (world.model_id,), tmp_path)
    async with keeper.running():
        async with asyncio.timeout(60):
            while not record_path(tmp_path).exists():
                await asyncio.sleep(0.02)
        assert node_record.decode(record_path(tmp_path).read_bytes()).record.models
    assert not record_path(tmp_path).exists()


async def test_a_real_node_leaves_its_record_when_the_dht_is_wanted(
    world: World, tmp_path: Path
) -> None:
    nodes = NodeWorld(world, tmp_path)
    for wanted in (False, True):
        folder = tmp_path / str(wanted)
        async with nodes.node(engine_threads=1, data_folder=folder, p2p_enabled=wanted):
            async with asyncio.timeout(60):
                while wanted and not record_path(folder).exists():
                    await asyncio.sleep(0.02)
            assert record_path(folder).exists() is wanted
            if wanted:
                record = node_record.decode(record_path(folder).read_bytes()).record
                assert record.models == (world.model_id,)
                assert record.peer_id == kept_identity(folder).peer_id
        assert not record_path(folder).exists()


async def test_the_chain_must_know_host_url_and_model(world: World) -> None:
    peer, key = "1" * 46, _key(world, "host")
    host = await world.nodes.host(key.address)
    assert host is not None
    model, url = world.model_id, host.api_url
    true = record_of(peer, key, api_url=url, models=(model,))
    await require_registered(world.chain, true, model)
    moved = record_of(peer, key, api_url=url + "/elsewhere", models=(model,))
    with pytest.raises(NotOnChain, match="another URL"):
        await require_registered(world.chain, moved, model)
    with pytest.raises(NotOnChain, match="not registered for this model"):
        await require_registered(world.chain, true, OTHER_MODEL)
    stranger = record_of(peer, _key(world, "auditor"), api_url=url, models=(model,))
    with pytest.raises(NotOnChain, match="no active host"):
        await require_registered(world.chain, stranger, model)


async def test_who_looks_for_nodes_gets_those_that_the_chain_confirms(
    world: World, tmp_path: Path, peers: Finder
) -> None:
    pytest.importorskip("libp2p", reason="the extra p2p is not installed")
    true, thief = tmp_path / "true", tmp_path / "thief"
    true.mkdir()
    thief.mkdir()
    keeper = RecordKeeper(world.chain, _key(world, "host"), (world.model_id,), true)
    signed = await keeper.renew()
    assert signed is not None
    place = {"chain_id": world.network.chain_id, "marketplace": world.network.marketplace}
    leave_record(
        thief,
        _key(world, "auditor"),
        **place,
        api_url="http://127.0.0.1:6",
        models=(world.model_id,),
    )
    chain = {
        "RPC_URL": world.network.rpc_urls[0],
        "CHAIN_ID": str(world.network.chain_id),
        "CONTRACT_JOB_MARKETPLACE": str(world.network.marketplace),
        "CONTRACT_NODE_REGISTRY": str(world.network.node_registry),
    }
    with participant(true) as one, participant(thief, one.address):
        until(lambda: len(peers(world.model_id, one.address, chain=chain)["refused"]) == 1)
        found = peers(world.model_id, one.address, chain=chain)
    assert found["confirmed_by_chain"]
    assert [node["host"] for node in found["nodes"]] == [str(signed.record.host).lower()]
    assert [one["code"] for one in found["refused"]] == ["P2P-007"]


@contextmanager
def whole_node(folder: Path, p2p_port: int) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A supervisor with stand-ins for node and workers, and the real process of the DHT."""
    env_file, lines = folder / ".env", folder / "lines"
    known = {
        "HOST_PRIVATE_KEY": "0x" + "07" * 32,
        "API_HOST": "127.0.0.1",
        "API_PORT": "0",
        "DATA_FOLDER": str(folder / "data"),
        "P2P_ENABLED": "true",
        "P2P_HOST": "127.0.0.1",
        "P2P_PORT": str(p2p_port),
    }
    env_file.touch(mode=0o600)
    env_file.write_text("".join(f"{name}={value}\n" for name, value in known.items()))
    with (
        lines.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.supervisor.machine", str(env_file)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment({}),
        ) as process,
    ):
        try:
            yield process, lines
        finally:
            process.terminate()
            process.wait()


def test_a_node_serves_while_the_port_of_the_dht_is_taken(tmp_path: Path) -> None:
    pytest.importorskip("libp2p", reason="the extra p2p is not installed")
    port = free_port("127.0.0.1")
    with socket.create_server(("127.0.0.1", port)) as taken:
        with whole_node(tmp_path, port) as (process, lines):
            report = read_object(process)
            assert report["outcome"] == "running", report
            until(lambda: "P2P-002" in lines.read_text())
            assert httpx.get(report["node"]["url"] + "/health").status_code == 200
            taken.close()
            until(lambda: "p2p | p2p ready" in lines.read_text())
            assert process.poll() is None
            assert httpx.get(report["node"]["url"] + "/health").status_code == 200


def test_a_record_of_another_place_is_refused() -> None:
    signed = record_of("1" * 46)
    record = signed.record
    wanted = Wanted(record.chain_id, record.marketplace, record.models[0])
    assert believed(signed.encode(), record.peer_id, wanted, record.issued_at) == signed
    for other in (
        replace(wanted, chain_id=1),
        replace(wanted, marketplace=record.host),
        replace(wanted, model=type(wanted.model)(bytes(32))),
    ):
        with pytest.raises(NodeRecordRefused):
            believed(signed.encode(), record.peer_id, other, record.issued_at)
    with pytest.raises(NodeRecordRefused, match="another peer"):
        believed(signed.encode(), "2" * 46, wanted, record.issued_at)
