"""A whole node in processes of its own, while `kill -9` hits one of them after another.

Broker, portal, node with the real model, settlement and prover run under the real supervisor, and
users hold real conversations. The chain is anvil, which has its blocks in memory alone: what is
killed of it is its RPC endpoint, a relay in front of it, in the middle of requests and answers. In
the long test the prover is the stand-in of `stand_in`, which proves nothing: it is about the
schedule. The short test proves.

`KILL_SEED=N` repeats a run's chances, though not its moments.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from platformless.audit.recovery import RecoveredSession
from platformless.chain.devchain import DevChainSettings, start_dev_chain
from platformless.chain.devchain.deploy import DeploymentSettings
from platformless.node.backing import chain_tag, ledger_settings
from platformless.prover.broker import valkey
from platformless.prover.ledger.ledger import Ledger
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from tests.chain.world import World
from tests.node.world import NodeWorld

from .machine import Machine
from .outcome import Outcome, left_over, until_settled
from .users import Users

CHAIN = DevChainSettings(block_seconds=0.5, deployment=DeploymentSettings(dispute_window_seconds=1))
QUICK = {
    "engine_threads": 1,
    "engine_sequences": 4,
    "checkpoint_tokens": 100,
    "lease_seconds": 2,
    "reconcile_seconds": 0.5,
    "watch_seconds": 5,
    "confirmations": 1,
    "chain_poll_seconds": 0.1,
    "disconnect_grace_seconds": 0.5,
    "settle_idle_seconds": 2,
    "drain_seconds": 5,
    "most_starts": 1000,
}
PATIENT = {
    "lease_seconds": 5,  # a proof takes all cores
    "checkpoint_tokens": 1000,
    "settle_idle_seconds": 4,
}
KINDS = ("rpc", "broker", "portal", "node", "settlement", "prover")
KILLS = 50
SUPERVISOR_KILLS = 2
LONGEST_REST_SECONDS = 7.0
MOST_AT_ONCE = 6
STAND_IN_SECONDS = 0.4
NAMES = ("client", "client-2", "auditor")
"""Accounts of users."""


async def test_what_is_billed_is_proven_once_whatever_is_killed(tmp_path: Path) -> None:
    chance = seeded()
    async with machine_on_chain(tmp_path, STAND_IN_SECONDS) as (machine, nodes):
        began = time.monotonic()
        users, stopping = Users(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for name in NAMES:
                own = random.Random(chance.random())
                group.create_task(users.talk_on(nodes, name, own, stopping, (110, 110, 220)))
            await kill_at_random(machine, chance)
            stopping.set()
        print(f"{time.monotonic() - began:.1f} s of kills: {dict(machine.kills)}")
        recovered = await all_is_settled(machine, nodes, users)
        proofs = sum(len(one.checkpoints) for one in recovered)
        print(f"{time.monotonic() - began:.1f} s: {proofs} proofs of {len(recovered)} sessions")
        print(f"{users.broken} connections broken or refused, {dict(users.refused)}")
        assert proofs >= len(NAMES)


async def test_real_proofs_are_built_whatever_is_killed(tmp_path: Path) -> None:
    chance = seeded()
    kinds = ["prover", "stark-prover", "settlement", "broker", "node"]
    chance.shuffle(kinds)
    async with machine_on_chain(tmp_path, None, **PATIENT) as (machine, nodes):
        began = time.monotonic()
        users, stopping = Users(), asyncio.Event()
        stopping.set()
        async with asyncio.TaskGroup() as group:
            for name in NAMES[:2]:
                own = random.Random(chance.random())
                group.create_task(users.talk_on(nodes, name, own, stopping, (110,)))
            for kind in kinds:
                await asyncio.sleep(chance.uniform(1, 8))
                await machine.kill_one(chance, [kind])
        print(f"{time.monotonic() - began:.1f} s of kills: {kinds}")
        recovered = await all_is_settled(machine, nodes, users)
        print(f"{time.monotonic() - began:.1f} s")
        assert [len(one.checkpoints) for one in recovered] == [1, 1]
        assert all(one.complete for one in recovered)


async def kill_at_random(machine: Machine, chance: random.Random) -> None:
    """Any process, at any moment, several nearly at once, and then and now the supervisor with all
    of them. While a new supervisor starts its services, one in the order of their need after the
    other, there is a bout of kills as well; the next one comes when it has got to the last."""
    of_supervisor = sorted(chance.sample(range(KILLS), SUPERVISOR_KILLS))
    while machine.kills.total() < KILLS + SUPERVISOR_KILLS:
        await machine.until_there(KINDS)
        await kill_some(machine, chance)
        if of_supervisor and machine.kills.total() >= of_supervisor[0]:
            of_supervisor.pop(0)
            await machine.kill_supervisor()
            await machine.start()
            await kill_some(machine, chance)


async def kill_some(machine: Machine, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(0.2, LONGEST_REST_SECONDS))
    for _ in range(chance.randint(1, MOST_AT_ONCE)):
        await machine.kill_one(chance, KINDS)
        await asyncio.sleep(chance.uniform(0, 0.2))


async def all_is_settled(
    machine: Machine, nodes: NodeWorld, users: Users
) -> list[RecoveredSession]:
    """Waits until it is, stops the machine, and checks what it leaves. Returns what chain and
    storage have of each session."""
    data = machine.folder / "node"
    chain = await chain_tag(nodes.world.chain)
    settings = ledger_settings(nodes.settings(data_folder=data), chain)
    ids = [talk.session_id for talk in users.talks]
    async with await Ledger.open(settings) as ledger:
        await until_settled(ledger.jobs, ids, machine)
    await machine.stop()
    assert not left_over(data)
    assert not list(machine.scratch.iterdir())
    assert not valkey.socket_path(data / "broker").exists()
    async with (
        await Ledger.open(settings) as ledger,
        EmbeddedPortal(PortalSettings(data / "portal")) as portal,
        PortalClient(ClientSettings(portal.url)) as downloads,
    ):
        outcome = Outcome(nodes.world, ledger, downloads)
        recovered = [await outcome.require_billed_once(talk) for talk in users.talks]
        await outcome.require_no_other_proofs()
        return recovered


@asynccontextmanager
async def machine_on_chain(
    folder: Path, stand_in_seconds: float | None, **changes: object
) -> AsyncIterator[tuple[Machine, NodeWorld]]:
    """A node that runs, and that the registry knows."""
    (folder / "machine").mkdir()
    with await start_dev_chain(CHAIN) as dev_chain:
        async with World(dev_chain, folder) as world:
            nodes = NodeWorld(world, folder)
            machine = Machine(
                folder / "machine",
                nodes.environment(**{**QUICK, **changes}, data_folder=folder / "machine" / "node"),
                dev_chain.rpc_url,
                stand_in_seconds,
            )
            await nodes.announce(machine.url)
            await machine.start()
            try:
                await machine.ready()
                yield machine, nodes
            finally:
                await machine.destroy()


def seeded() -> random.Random:
    """Prints the seed."""
    seed = int(os.environ.get("KILL_SEED") or secrets.randbelow(100_000))
    print(f"KILL_SEED={seed}")
    return random.Random(seed)
