"""What a host is told before it leaves, and that it is true."""

from __future__ import annotations

import asyncio

import pytest

from platformless.chain.connection import Chain
from platformless.chain.money import Price
from platformless.node.backing import chain_tag
from platformless.node.registration import leaving
from platformless.prover.ledger.settings import LedgerSettings, ledger_key
from tests.chain.world import World
from tests.ledger_jobs.builder import Store

from .conftest import Machine


def warnings_of(machine: Machine) -> str:
    return "\n".join(machine.one("unregister-node", "--dry-run")["warnings"])


async def opened(machine: Machine, world: World) -> int:
    price = Price(10_000, world.network.usdc)
    return await world.open_session(host=machine.address, price=price)


def test_open_sessions_can_still_be_proven_settled_and_paid_after_leaving(
    machine: Machine,
) -> None:
    machine.register()
    assert machine.one("unregister-node", "--dry-run")["warnings"] == []

    async def before() -> int:
        async with World(machine.dev_chain, machine.folder) as world:
            return await opened(machine, world)

    session_id = asyncio.run(before())
    assert f"sessions still open: {session_id}." in warnings_of(machine)
    left = machine.run("unregister-node", "--chain", "84532", "--yes")
    assert left.exit_code == 0, left.output
    assert "✅ Node no longer registered on chain 84532" in left.stdout

    async def after() -> None:
        async with World(machine.dev_chain, machine.folder) as world:
            await world.pass_time(60)
            submission = world.submission(session_id, 100)
            await world.send(machine.name, world.marketplace.submit_proof(submission))
            await world.pass_time(60)
            await world.send(machine.name, world.marketplace.complete(session_id))

    asyncio.run(after())
    machine.register()
    told = warnings_of(machine)
    assert "sessions still open" not in told
    assert "earnings not withdrawn: 0.0009 USDC" in told
    assert machine.run("withdraw-earnings").exit_code == 0
    assert warnings_of(machine) == ""


def test_of_many_sessions_the_newest_are_looked_at(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.register()

    async def open_some() -> list[int]:
        async with World(machine.dev_chain, machine.folder) as world:
            return [await opened(machine, world) for _ in range(5)]

    ids = asyncio.run(open_some())
    for most in (1, 3, 5, 6):
        monkeypatch.setattr(leaving, "MOST_SESSIONS", most)
        told = warnings_of(machine)
        assert f"sessions still open: {', '.join(map(str, ids[-most:]))}." in told
        assert (f"{5 - most} older sessions" in told) == (most < 5)


def test_jobs_of_the_ledger_that_are_not_confirmed_are_told(machine: Machine) -> None:
    machine.register()

    async def add() -> None:
        async with Chain(machine.dev_chain.network) as chain:
            tag = await chain_tag(chain)
        data = machine.folder / "data"
        settings = LedgerSettings(f"sqlite:///{data}/ledger.db", ledger_key(data), tag)
        store = await Store.open(settings)
        await store.jobs.add_settlement(7, due_at=1)
        await store.close()

    asyncio.run(add())
    assert "jobs not confirmed yet: 1." in warnings_of(machine)
    (machine.folder / "data" / "ledger.db").write_bytes(b"no database" * 1000)
    told = warnings_of(machine)
    assert "the ledger's jobs were not looked at: LED-" in told
    assert machine.one("unregister-node", "--yes")["outcome"] == "done"
