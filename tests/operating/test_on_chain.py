"""The commands on a dev chain: withdrawing earnings, and whose jobs are shown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from platformless.chain.connection import Chain
from platformless.chain.devchain import DevChain
from platformless.chain.host_earnings import HostEarnings
from platformless.chain.money import NATIVE
from platformless.chain.sending.sender import TransactionSender
from platformless.chain.sending.settings import SenderSettings
from platformless.node.backing import chain_tag
from platformless.node.operating import earnings
from platformless.node.operating.earnings import WithdrawalRequest
from platformless.node.reading_settings import load_settings
from platformless.protocol.digests import Address
from tests.chain.world import AT_ONCE, NATIVE_PRICE, World
from tests.ledger_jobs.builder import Store

from .conftest import Folder


@pytest.fixture
def folder(dev_chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Of a host on the dev chain, which takes a transaction for final at once."""
    monkeypatch.setattr(earnings, "SENDING", SenderSettings(1, AT_ONCE.poll_seconds))
    folder = Folder(tmp_path)
    settings = dev_chain.environment() | {"DATA_FOLDER": str(tmp_path / "data")}
    folder.env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    folder.env_file.chmod(0o600)
    return folder


def earn(dev_chain: DevChain, folder: Folder) -> None:
    """Settles a session in USDC and one in ETH."""

    async def settle(world: World, session_id: int) -> None:
        await world.pass_time(60)
        submission = world.submission(session_id, 100)
        await world.send("host", world.marketplace.submit_proof(submission))
        await world.send("client", world.marketplace.complete(session_id))

    async def run() -> None:
        async with World(dev_chain, folder.path) as world:
            await settle(world, await world.open_session())
            deposit = NATIVE.amount("0.2")
            await settle(world, await world.open_session(deposit=deposit, price=NATIVE_PRICE))

    asyncio.run(run())


def lines_of(folder: Folder, *arguments: str) -> list[str]:
    result = folder.run("withdraw-earnings", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def by_token(document: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {
        entry["token"]: (int(entry["before"]), int(entry["withdrawn"]), int(entry["after"]))
        for entry in document["earnings"]
    }


def test_earnings_in_every_token_are_withdrawn_in_one_transaction(
    dev_chain: DevChain, folder: Folder
) -> None:
    earn(dev_chain, folder)
    planned = folder.json("withdraw-earnings", "--dry-run")
    assert (planned["dry_run"], planned["transaction"]) == (True, None)
    usdc, eth = by_token(planned)["USDC"], by_token(planned)["ETH"]
    for before, withdrawn, after in (usdc, eth):
        assert before > 0
        assert (withdrawn, after) == (0, before)

    done = folder.json("withdraw-earnings")
    assert by_token(done) == {"USDC": (usdc[0], usdc[0], 0), "ETH": (eth[0], eth[0], 0)}
    assert int(done["transaction"]["fee_wei"]) > 0

    async def check() -> None:
        async with Chain(dev_chain.network) as chain:
            receipt = await chain.receipt(done["transaction"]["hash"])
            assert receipt is not None
            assert receipt.block_number == done["transaction"]["block_number"]
            host = Address.from_hex(done["host"])
            assert (await HostEarnings(chain).balance(host, NATIVE)).units == 0

    asyncio.run(check())
    assert lines_of(folder) == [f"nothing to withdraw: {done['host']} has no earnings"]
    assert folder.json("withdraw-earnings")["transaction"] is None


def test_earnings_in_one_token_leave_the_others(dev_chain: DevChain, folder: Folder) -> None:
    earn(dev_chain, folder)
    planned = lines_of(folder, "--token", "usdc", "--dry-run")
    assert planned[0].endswith(" USDC can be withdrawn")
    assert planned[1:] == ["nothing was sent: a dry run"]
    lines = lines_of(folder, "--token", "usdc")
    assert lines[0].endswith("now 0 USDC")
    assert lines[1].startswith("transaction 0x")
    assert "fee 0.0" in lines[2]
    assert lines_of(folder, "--token", "usdc")[0].startswith("nothing to withdraw")
    planned = lines_of(folder, "--dry-run")
    assert planned[0].endswith(" ETH can be withdrawn")
    assert planned[1:] == ["nothing was sent: a dry run"]
    assert by_token(folder.json("withdraw-earnings", "--token", "eth"))["ETH"][1] > 0


async def test_a_node_that_runs_sends_by_the_same_outbox(
    dev_chain: DevChain, folder: Folder
) -> None:
    await asyncio.to_thread(earn, dev_chain, folder)
    settings, network = load_settings({}, folder.env_file)
    account, outbox = dev_chain.accounts["host"], settings.data_folder / "outbox.db"
    async with Chain(network) as chain, TransactionSender(chain, account, outbox, AT_ONCE) as node:
        await node.send("before", HostEarnings(chain).withdraw_all([NATIVE]))
        report = await earnings.withdraw(settings, network, WithdrawalRequest(), AT_ONCE)
        await node.send("after", HostEarnings(chain).withdraw_all([NATIVE]))
    assert report.confirmed is not None
    assert [of_token.before.token.symbol for of_token in report.earnings] == ["USDC", "ETH"]
    assert report.earnings[0].withdrawn == report.earnings[0].before
    assert report.earnings[1].withdrawn.units == 0


def test_jobs_are_those_of_the_chain_that_answers(dev_chain: DevChain, folder: Folder) -> None:
    async def tag() -> str:
        async with Chain(dev_chain.network) as chain:
            return await chain_tag(chain)

    async def add(store: Store) -> None:
        await store.jobs.add_settlement(7, due_at=1)

    async def add_another(store: Store) -> None:
        await store.jobs.add_settlement(8, due_at=1)

    folder.having(add, asyncio.run(tag()))
    folder.having(add_another, "of an earlier chain")
    assert [job["id"] for job in folder.json("jobs")["jobs"]] == ["7-settlement"]
