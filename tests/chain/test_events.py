"""Reading a session's events: complete and in order, however little a node serves at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from eth_abi.abi import encode

from platformless.chain.abi import decode_abi
from platformless.chain.connection import Chain
from platformless.chain.contract import decode_event
from platformless.chain.errors import EventRangeRefused, UnreadableAnswer
from platformless.chain.events import (
    ProofSubmitted,
    RangeLimits,
    SessionEvents,
    SessionOpened,
    SessionSettled,
    SessionTimedOut,
)
from platformless.chain.session import Session

from .faulty import FaultyNode, for_method, reply
from .world import World

BLOCKS_BETWEEN = 40


@pytest.fixture
async def node(world: World) -> AsyncIterator[FaultyNode]:
    async with FaultyNode(world.dev_chain.rpc_url) as node:
        yield node


async def session_with_proofs(world: World, *tokens: int) -> Session:
    """A session whose proofs lie blocks apart, among those of another session."""
    other = await world.open_session()
    session_id = await world.open_session()
    for number, count in enumerate(tokens):
        await world.chain.command("anvil_mine", hex(BLOCKS_BETWEEN), "0x5")
        for each in (other, session_id):
            submission = world.submission(each, count, str(number))
            await world.send("host", world.marketplace.submit_proof(submission))
    return await world.marketplace.session(session_id)


async def test_a_sessions_proofs_are_found_with_their_cids(world: World) -> None:
    session = await session_with_proofs(world, 300, 200, 100)
    proofs = await SessionEvents(world.chain).proofs(session)
    assert [proof.tokens for proof in proofs] == [300, 200, 100]
    assert {proof.session_id for proof in proofs} == {session.id}
    assert {(proof.proof_cid, proof.delta_cid) for proof in proofs} == {("uProof", "uDelta")}
    stored = await world.marketplace.proofs(session.id)
    assert [proof.proof_hash for proof in proofs] == [proof.proof_hash for proof in stored]


async def test_a_history_tells_the_session_from_its_start_to_its_end(world: World) -> None:
    session = await session_with_proofs(world, 300)
    await world.send("client", world.marketplace.complete(session.id))
    history = await SessionEvents(world.chain).history(session)
    opened, proof, settled = history
    assert isinstance(opened, SessionOpened)
    assert (opened.client, opened.host) == (session.client, session.host)
    assert (opened.model_id, opened.deposit) == (world.model_id, session.deposit)
    assert isinstance(proof, ProofSubmitted)
    assert isinstance(settled, SessionSettled)
    assert settled.gross == session.price.cost(session.tokens_proven)
    assert settled.gross + settled.refund == session.deposit
    assert settled.ended_by == session.client


async def test_a_timeout_is_part_of_the_history(world: World) -> None:
    session = await session_with_proofs(world, 300)
    await world.pass_time(400)
    await world.send("auditor", world.marketplace.time_out(session.id))
    history = await SessionEvents(world.chain).history(session)
    (timed_out,) = [event for event in history if isinstance(event, SessionTimedOut)]
    ended = await world.marketplace.session(session.id)
    assert (timed_out.host_earnings, timed_out.refund) == (ended.paid_to_host, ended.refunded)


@pytest.mark.parametrize("most_blocks", [1, 7, 25, 1000])
async def test_a_nodes_limit_of_blocks_is_found_and_kept(
    world: World, node: FaultyNode, most_blocks: int
) -> None:
    session = await session_with_proofs(world, 300, 200, 100)
    served: list[int] = []

    async def limited(call: dict[str, Any]) -> web.Response | None:
        query = call["params"][0]
        blocks = int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1
        if blocks > most_blocks:
            error = {"code": -32005, "message": "query returned more than 10000 results"}
            return await reply(error=error)(call)
        served.append(blocks)
        return None

    node.fault = for_method("eth_getLogs", limited)
    async with Chain(world.network, rpc_urls=(node.url,)) as chain:
        proofs = await SessionEvents(chain).proofs(session)
    assert [proof.tokens for proof in proofs] == [300, 200, 100]
    assert max(served) <= most_blocks
    head = await world.chain.head()
    assert sum(served) <= head.number + 1


async def test_ranges_never_exceed_what_was_configured(world: World, node: FaultyNode) -> None:
    session = await session_with_proofs(world, 300, 200)
    asked: list[int] = []

    async def note(call: dict[str, Any]) -> web.Response | None:
        query = call["params"][0]
        asked.append(int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1)
        return None

    node.fault = for_method("eth_getLogs", note)
    async with Chain(world.network, rpc_urls=(node.url,)) as chain:
        await SessionEvents(chain, RangeLimits(largest=16, first=4)).proofs(session)
    assert asked[:3] == [4, 8, 16]
    assert max(asked) == 16


async def test_a_node_that_serves_no_events_at_all_is_told(world: World, node: FaultyNode) -> None:
    session = await session_with_proofs(world, 300)
    error = {"code": -32601, "message": "eth_getLogs is disabled"}
    node.fault = for_method("eth_getLogs", reply(error=error))
    async with Chain(world.network, rpc_urls=(node.url,)) as chain:
        with pytest.raises(EventRangeRefused) as raised:
            await SessionEvents(chain).proofs(session)
    assert "disabled" in str(raised.value)


async def test_reading_stops_where_it_is_told_to(world: World) -> None:
    session = await session_with_proofs(world, 300, 200, 100)
    events = SessionEvents(world.chain)
    everything = await events.proofs(session)
    until_second = await events.proofs(session, last_block=everything[1].place.block_number)
    assert until_second == everything[:2]


async def test_the_block_of_a_time_is_the_first_that_is_not_before_it(world: World) -> None:
    session = await session_with_proofs(world, 300)
    events = SessionEvents(world.chain)
    number = await events.block_at(session.started_at)
    block, before = await world.chain.block(number), await world.chain.block(number - 1)
    assert block is not None
    assert before is not None
    assert before.timestamp < session.started_at <= block.timestamp
    assert await events.block_at(0) == 0


def test_a_log_of_another_event_is_not_decoded() -> None:
    log = {"topics": ["0x" + "11" * 32], "data": "0x"}
    with pytest.raises(UnreadableAnswer):
        decode_event("JobMarketplace", "ProofSubmitted", log)


@pytest.mark.parametrize("text", [b"\xff", b"blob\xc3", b"\xed\xa0\x80"])
def test_a_string_that_is_not_utf8_hides_nothing(text: bytes) -> None:
    """No contract checks the strings that a host gives: CIDs, addresses, metadata."""
    body = encode(["bytes", "uint256"], [text, 5])
    told, number = decode_abi(["string", "uint256"], body)
    assert (number, "\\x" in told) == (5, True)
    assert decode_abi(["string"], encode(["string"], ["Zürich"])) == ("Zürich",)
