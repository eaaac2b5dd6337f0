"""The sender with a node that fails in the middle of sending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from platformless.chain.connection import Chain
from platformless.chain.errors import EndpointsUnavailable, WrongChain
from platformless.chain.rpc import RpcSettings
from platformless.retrying import Backoff

from .bare import IMPATIENT, BareChain, payment
from .faulty import Fault, FaultyNode, for_method, reply, text

PATIENT = RpcSettings(request_seconds=1, patience_seconds=30, backoff=Backoff(0.02, 0.2))
DOWN_SECONDS = 10


@pytest.fixture
async def node(bare: BareChain) -> AsyncIterator[FaultyNode]:
    async with FaultyNode(bare.url) as node:
        yield node


async def mine_until(bare: BareChain, *work: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(30):
        while not all(task.done() for task in work):
            await bare.mine()
            await asyncio.sleep(0.05)


async def test_a_node_that_is_down_for_ten_seconds_delays_and_loses_nothing(
    bare: BareChain, node: FaultyNode
) -> None:
    async with (
        Chain(bare.network, rpc_urls=(node.url,), settings=PATIENT) as chain,
        bare.sender(chain=chain) as sender,
    ):
        work = [asyncio.create_task(sender.send(f"n{n}", payment(2**n))) for n in range(20)]
        while node.answered["eth_sendRawTransaction"] < 10:
            await asyncio.sleep(0.001)
        await node.shut()
        await asyncio.sleep(DOWN_SECONDS)
        await node.open()
        await mine_until(bare, *work)
    assert await bare.received() == 2**20 - 1


async def test_an_answer_lost_on_the_way_back_does_not_send_twice(
    bare: BareChain, node: FaultyNode
) -> None:
    """The node has the transaction; the sender cannot know, asks again, hears `already known`."""

    async def lose_the_answer(call: dict[str, Any]) -> web.Response | None:
        node.fault = None
        await bare.chain.command(call["method"], *call["params"])
        return web.Response(status=504)

    await bare.hold()
    node.fault = for_method("eth_sendRawTransaction", lose_the_answer)
    async with (
        Chain(bare.network, rpc_urls=(node.url,), settings=PATIENT) as chain,
        bare.sender(chain=chain) as sender,
    ):
        work = asyncio.create_task(sender.send("a", payment(5)))
        await mine_until(bare, work)
    assert await bare.received() == 5


@pytest.mark.parametrize(
    "fault",
    [
        text("<html>"),
        text("", status=500),
        reply(error={"code": -32000, "message": "txpool is full"}),
        reply(error={"code": -32000, "message": "nonce too low"}),
        reply(result="0x12"),
    ],
)
async def test_a_transaction_that_the_node_does_not_take_is_kept_and_taken_later(
    bare: BareChain, node: FaultyNode, fault: Fault
) -> None:
    node.fault = for_method("eth_sendRawTransaction", fault)
    async with (
        Chain(bare.network, rpc_urls=(node.url,), settings=IMPATIENT) as chain,
        bare.sender(chain=chain) as sender,
    ):
        await sender.submit("a", payment(5))
        assert await bare.received() == 0
        node.fault = None
        await mine_until(bare, asyncio.create_task(sender.wait("a")))
    assert await bare.received() == 5


async def test_a_node_that_is_down_before_sending_leaves_no_trace(
    bare: BareChain, node: FaultyNode
) -> None:
    async with (
        Chain(bare.network, rpc_urls=(node.url,), settings=IMPATIENT) as chain,
        bare.sender(chain=chain) as sender,
    ):
        await node.shut()
        with pytest.raises(EndpointsUnavailable):
            await sender.submit("a", payment(5))
        assert sender.outbox.entries() == []
        await node.open()
        await mine_until(bare, asyncio.create_task(sender.send("a", payment(5))))
    assert await bare.received() == 5


async def test_a_sender_does_not_open_on_another_chain(bare: BareChain, node: FaultyNode) -> None:
    node.fault = for_method("eth_chainId", reply(result="0x2105"))
    async with Chain(bare.network, rpc_urls=(node.url,), settings=IMPATIENT) as chain:
        with pytest.raises(WrongChain):
            async with bare.sender(chain=chain):
                pass
