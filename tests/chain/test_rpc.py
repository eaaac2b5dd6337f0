"""RPC endpoints that fail: what is asked elsewhere, what is waited for, what is told."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from platformless.chain.connection import Chain
from platformless.chain.errors import EndpointsUnavailable, RpcRefused, WrongChain
from platformless.chain.rpc import RpcSettings
from platformless.retrying import Backoff

from .bare import IMPATIENT, BareChain
from .faulty import Fault, FaultyNode, for_method, reply, silence, text

AT_ONCE = 20
PRUNED = {"code": -32000, "message": "historical state 5ab1 is not available"}
PATIENT = RpcSettings(request_seconds=10, patience_seconds=30, backoff=Backoff(0.05, 15))
DOWN = "http://127.0.0.1:9"


@pytest.fixture
async def node(bare: BareChain) -> AsyncIterator[FaultyNode]:
    async with FaultyNode(bare.url) as node:
        yield node


async def pruned(call: dict[str, Any]) -> web.Response | None:
    """A node that keeps no state of a block with a number."""
    is_old = call["params"] and str(call["params"][-1]).startswith("0x")
    is_state = call["method"] == "eth_getTransactionCount"
    return await reply(error=PRUNED)(call) if is_old and is_state else None


def connect(bare: BareChain, *urls: str, settings: RpcSettings = IMPATIENT) -> Chain:
    return Chain(bare.network, rpc_urls=urls, settings=settings)


GARBAGE = {
    "a page": text("<html>Bad Gateway</html>"),
    "nothing": text(""),
    "cut off": text('{"jsonrpc":"2.0","id":1,"res'),
    "a list": text("[]"),
    "another id": text('{"jsonrpc":"2.0","id":987654,"result":"0x1"}'),
    "neither result nor error": reply(),
    "both result and error": reply(result="0x1", error={"code": 1, "message": "no"}),
    "no number": reply(result="banana"),
    "a number that is none": reply(result=7),
    "null": reply(result=None),
    "an error without a code": reply(error="down for maintenance"),
    "a server error": text("{}", status=503),
    "silence": silence,
}


@pytest.mark.parametrize("fault", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_not_believed_and_the_next_endpoint_is_asked(
    bare: BareChain, node: FaultyNode, fault: Fault
) -> None:
    await bare.mine(3)
    node.fault = for_method("eth_getTransactionCount", fault)
    settings = replace(PATIENT, request_seconds=2) if fault is silence else PATIENT
    async with connect(bare, node.url, bare.url, settings=settings) as chain:
        assert await chain.nonce(bare.address) == 0
        assert node.asked["eth_getTransactionCount"] == 1


async def test_garbage_everywhere_tells_what_each_endpoint_said(
    bare: BareChain, node: FaultyNode
) -> None:
    node.fault = text("<html>")
    async with connect(bare, node.url, DOWN) as chain:
        with pytest.raises(EndpointsUnavailable) as error:
            await chain.head()
    assert "not JSON" in str(error.value)
    assert DOWN in str(error.value)


async def test_an_endpoint_that_recovers_is_used_again(bare: BareChain, node: FaultyNode) -> None:
    node.fault = text("", status=502)
    async with connect(bare, node.url, settings=PATIENT) as chain:
        asking = asyncio.create_task(chain.head())
        while node.asked.total() < 2:
            await asyncio.sleep(0.01)
        node.fault = None
        assert (await asking).number == 0


async def test_one_endpoint_is_kept_while_it_answers(bare: BareChain, node: FaultyNode) -> None:
    async with connect(bare, node.url, bare.url) as chain:
        for _ in range(5):
            await chain.head()
    assert node.asked["eth_getBlockByNumber"] == 5


async def test_the_chain_id_is_checked_on_every_connection(
    bare: BareChain, node: FaultyNode
) -> None:
    async with connect(bare, node.url) as chain:
        await asyncio.gather(*(chain.head() for _ in range(8)))
        checks = node.asked["eth_chainId"]
        assert 1 <= checks <= 8
        await chain.head()
        assert node.asked["eth_chainId"] == checks
        await node.shut()
        await node.open()
        await chain.head()
        assert node.asked["eth_chainId"] > checks


async def test_an_error_of_another_chain_is_not_believed_either(
    bare: BareChain, node: FaultyNode
) -> None:
    """What comes first on a connection may be an error; the chain id is asked all the same."""
    node.fault = for_method("eth_chainId", reply(result="0x1"))
    async with connect(bare, node.url) as chain:
        with pytest.raises(WrongChain):
            await chain.command("no_such_method")
        with pytest.raises(WrongChain):
            await chain.nonce(bare.address)


async def test_a_connection_that_failed_at_first_is_checked_before_it_is_used(
    bare: BareChain, node: FaultyNode
) -> None:
    async def fail_once_then_be_another_chain(call: dict[str, object]) -> web.Response | None:
        if call["method"] == "eth_chainId":
            return await reply(result="0x1")(call)
        return web.Response(status=503) if node.asked.total() == 1 else None

    node.fault = fail_once_then_be_another_chain
    async with connect(bare, node.url) as chain:
        with pytest.raises(WrongChain):
            await chain.nonce(bare.address)


async def test_a_customer_who_is_turned_away_goes_to_the_next_endpoint(
    bare: BareChain, node: FaultyNode
) -> None:
    denied = '{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Must be authenticated!"}}'
    node.fault = text(denied, status=401)
    async with connect(bare, node.url, bare.url) as chain:
        assert (await chain.head()).number == 0


async def test_a_node_that_lacks_a_block_is_passed_over(bare: BareChain, node: FaultyNode) -> None:
    error = {"code": -32000, "message": "missing trie node 5ab1 (path )"}
    node.fault = for_method("eth_getTransactionCount", reply(error=error))
    async with connect(bare, node.url, bare.url) as chain:
        assert await chain.nonce(bare.address) == 0


async def test_an_endpoint_without_old_states_is_asked_for_new_ones_all_the_same(
    bare: BareChain, node: FaultyNode
) -> None:
    await bare.mine(3)
    node.fault = pruned
    async with connect(bare, node.url, bare.url, settings=PATIENT) as chain:
        assert await chain.nonce(bare.address, 1) == 0
        assert await chain.nonce(bare.address, 1) == 0
        assert node.asked["eth_getTransactionCount"] == 2
        assert await chain.nonce(bare.address) == 0
        assert node.asked["eth_getTransactionCount"] == 3


async def test_a_state_that_no_endpoint_keeps_is_a_refusal_at_once(
    bare: BareChain, node: FaultyNode, caplog: pytest.LogCaptureFixture
) -> None:
    await bare.mine(3)
    node.fault = pruned
    async with connect(bare, node.url, node.url, settings=PATIENT) as chain:
        with pytest.raises(RpcRefused):
            await chain.nonce(bare.address, 1)
        assert await chain.nonce(bare.address) == 0
    assert node.asked["eth_getTransactionCount"] == 3
    assert "rests" not in caplog.text


async def test_failures_at_the_same_time_count_once(
    bare: BareChain, node: FaultyNode, caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty requests fail together: the endpoint rests as after one failure."""

    async def fail_the_first(_call: dict[str, object]) -> web.Response | None:
        return web.Response(status=502) if node.asked.total() <= AT_ONCE else None

    node.fault = fail_the_first
    async with connect(bare, node.url, settings=PATIENT) as chain:
        await asyncio.gather(*(chain.head() for _ in range(AT_ONCE)))
    rests = [float(found) for found in re.findall(r"rests ([0-9.]+) s", caplog.text)]
    assert len(rests) == AT_ONCE
    assert max(rests) < 1, "a rest after twenty failures is fifteen seconds"


async def test_an_endpoint_of_another_chain_is_passed_over(
    bare: BareChain, node: FaultyNode
) -> None:
    node.fault = for_method("eth_chainId", reply(result="0x1"))
    async with connect(bare, node.url, bare.url) as chain:
        await chain.head()
        await chain.head()
    assert node.asked["eth_getBlockByNumber"] == 1


async def test_only_another_chain_is_told_with_both_ids(bare: BareChain) -> None:
    wrong = replace(bare.network, chain_id=8453)
    async with Chain(wrong, rpc_urls=(bare.url,), settings=IMPATIENT) as chain:
        with pytest.raises(WrongChain) as error:
            await chain.head()
    assert error.value.expected == "chain id 8453"
    assert error.value.got == "84532"


async def test_a_rate_limit_is_waited_for_as_long_as_it_asks(
    bare: BareChain, node: FaultyNode
) -> None:
    asked_at: list[float] = []

    async def limited(_call: dict[str, object]) -> web.Response | None:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return None

    node.fault = for_method("eth_getBlockByNumber", limited)
    async with connect(bare, node.url, settings=PATIENT) as chain:
        await chain.head()
    assert asked_at[1] - asked_at[0] >= 1


@pytest.mark.parametrize(
    "error",
    [
        {"code": 429, "message": "slow down"},
        {"code": -32005, "message": "limit exceeded"},
        {"code": -32000, "message": "Too Many Requests"},
    ],
)
async def test_a_rate_limit_in_a_reply_is_one_too(
    bare: BareChain, node: FaultyNode, error: dict[str, object]
) -> None:
    node.fault = for_method("eth_getBlockByNumber", reply(error=error))
    async with connect(bare, node.url, bare.url) as chain:
        assert (await chain.head()).number == 0


async def test_what_a_node_refuses_is_not_asked_elsewhere(
    bare: BareChain, node: FaultyNode
) -> None:
    async with connect(bare, bare.url, node.url) as chain:
        with pytest.raises(RpcRefused) as error:
            await chain.command("no_such_method")
    assert error.value.rpc_code == -32601
    assert node.asked.total() == 0


async def test_no_address_is_an_error_at_once(bare: BareChain) -> None:
    with pytest.raises(EndpointsUnavailable):
        Chain(replace(bare.network, rpc_urls=()))


async def test_a_providers_key_in_an_address_is_not_told(
    bare: BareChain, caplog: pytest.LogCaptureFixture
) -> None:
    urls = [f"{scheme}user:hunter2@127.0.0.1:9/v2/KEY-OF-OURS?k=K2" for scheme in ("http://", "x:")]
    async with connect(bare, *urls) as chain:
        with pytest.raises(EndpointsUnavailable) as raised:
            await chain.head()
    told = f"{raised.value} {raised.value.to_json()} {caplog.text}"
    assert "http://127.0.0.1:9" in told
    for secret in ("hunter2", "KEY-OF-OURS", "K2"):
        assert secret not in told
