"""The sender when something stays away for long: old states, the signer, a place in a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from platformless.chain.connection import Chain, ContractCall
from platformless.chain.errors import TransactionReverted
from platformless.chain.rpc import RpcSettings
from platformless.chain.sending.fees import GWEI, FeePolicy
from platformless.chain.sending.sender import TransactionSender
from platformless.node.keys.errors import SignerRefused, SignerUnreachable
from platformless.protocol.digests import Address
from platformless.protocol.host_key import LocalKey
from platformless.protocol.signatures import Signature
from platformless.protocol.transaction import Transaction
from platformless.retrying import Backoff

from .bare import QUICK, BareChain, foreign, payment
from .faulty import Fault, FaultyNode, for_method, reply

LIMIT_SECONDS = 60
HASTY = RpcSettings(request_seconds=20, patience_seconds=0.5, backoff=Backoff(0.02, 0.2))
ALWAYS_REVERTS = Address(b"\x77" * 20)
REVERT = "0x60006000fd"
FORGETFUL = for_method("eth_sendRawTransaction", reply(result="0x" + "00" * 32))
"""Takes every transaction, and has it no more a moment later."""
PRUNED = [
    "missing trie node 5ab1 (path ) state 0x5ab1 is not available",
    "historical state 5ab1 is not available",
]


@pytest.fixture
async def node(bare: BareChain) -> AsyncIterator[FaultyNode]:
    async with FaultyNode(bare.url) as node:
        yield node


@pytest.fixture
async def relayed(bare: BareChain, node: FaultyNode) -> AsyncIterator[Chain]:
    async with Chain(bare.network, rpc_urls=(node.url,), settings=HASTY) as chain:
        yield chain


def without_states(method: str, message: str, *, up_to: int = 1 << 62) -> Fault:
    """A node that has pruned the states of these blocks."""
    lacking = reply(error={"code": -32000, "message": message})

    async def only(call: dict[str, Any]) -> web.Response | None:
        which = str(call["params"][-1])
        is_old = which.startswith("0x") and int(which, 16) <= up_to
        return await lacking(call) if is_old else None

    return for_method(method, only)


async def until(reached: Callable[[], bool], bare: BareChain | None = None) -> None:
    """Waits, and mines a block each time when given a chain."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not reached():
            if bare is not None:
                await bare.mine()
            await asyncio.sleep(0.02)


class Signer(LocalKey):
    """Fails while it has something to fail with."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.fails_with: Exception | None = None
        self.failures = 0

    def sign_transaction(self, transaction: Transaction) -> Signature:
        if self.fails_with is not None:
            self.failures += 1
            raise self.fails_with
        return super().sign_transaction(transaction)


@pytest.mark.parametrize("message", PRUNED)
async def test_a_node_without_old_states_does_not_keep_a_reverted_transaction_open(
    bare: BareChain, node: FaultyNode, relayed: Chain, message: str
) -> None:
    await bare.chain.command("anvil_setCode", str(ALWAYS_REVERTS), REVERT)
    node.fault = without_states("eth_call", message)
    call = ContractCall(ALWAYS_REVERTS, b"", gas_limit=100_000)
    async with bare.sender(chain=relayed) as sender:
        await sender.submit("a", call)
        await bare.mine(3)
        with pytest.raises(TransactionReverted):
            await sender.wait("a", confirm_seconds=LIMIT_SECONDS)


async def test_who_took_a_nonce_long_ago_is_told_to_be_unclear(
    bare: BareChain, node: FaultyNode, relayed: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    await bare.hold()
    async with bare.sender(chain=relayed) as sender:
        node.fault = FORGETFUL
        await sender.submit("a", payment(5))
        await bare.chain.command("anvil_dropAllTransactions")
        other = bare.account.sign_transaction(foreign(0, 1000))
        node.fault = without_states("eth_getTransactionCount", PRUNED[0], up_to=5)
        await bare.chain.broadcast(other.raw_transaction)
        await bare.mine(12)
        await until(lambda: "CHN-307" in caplog.text)
        node.fault = None
        work = asyncio.create_task(sender.wait("a"))
        await until(work.done, bare)
    assert await bare.received() == 1005


@pytest.mark.parametrize(
    "failure", [SignerUnreachable("no answer"), SignerRefused("too dear")], ids=["down", "refuses"]
)
async def test_what_no_signer_replaces_is_sent_again(
    bare: BareChain, node: FaultyNode, relayed: Chain, failure: Exception
) -> None:
    await bare.hold()
    key = Signer(bytes(bare.account.key))
    async with bare.sender(chain=relayed, account=key) as sender:
        node.fault = FORGETFUL
        await sender.submit("a", payment(5))
        key.fails_with = failure
        await until(lambda: key.failures > 0, bare)
        node.fault = None
        work = asyncio.create_task(sender.wait("a"))
        await until(work.done, bare)
        assert len(_tips(sender)) == 1
    assert await bare.received() == 5


async def test_the_tip_does_not_run_away_while_blocks_pass_a_transaction_over(
    bare: BareChain, node: FaultyNode, relayed: Chain
) -> None:
    fees = FeePolicy(bump_basis_points=5000)
    most = fees.most_tip_factor * fees.least_priority_fee
    await bare.chain.command("anvil_setNextBlockBaseFeePerGas", hex(GWEI // 10_000))
    await bare.mine()
    await bare.hold()
    async with bare.sender(replace(QUICK, bump_seconds=0.1, fees=fees), chain=relayed) as sender:
        node.fault = FORGETFUL
        await sender.submit("a", payment(5))
        # What is not replaced any more is still sent again.
        await until(lambda: node.asked["eth_sendRawTransaction"] >= 40, bare)
        tips = _tips(sender)
        assert 1 < len(tips) <= 6
        assert most <= tips[-1] <= most * 1.1
        node.fault = None
        work = asyncio.create_task(sender.wait("a"))
        await until(work.done, bare)
    assert await bare.received() == 5


def _tips(sender: TransactionSender) -> list[int]:
    entry = sender.outbox.find("a")
    assert entry is not None
    return [offer.fees.priority_fee for offer in entry.offers]
