"""Whoever guesses a session's id can neither read, bill, cancel nor end it."""

from __future__ import annotations

import asyncio
import copy
import json

import httpx
import pytest

from platformless.chain.devchain.accounts import dev_account
from platformless.node.running import Node
from platformless.protocol.digests import Address
from platformless.protocol.signatures import sign
from platformless.protocol.wallet_challenge import ChallengeNonce, WalletChallenge

from .wire import Frame, Wire
from .world import QUICK, NodeWorld, changed

CLIENT, STRANGER = b"\x21" * 32, b"\x66" * 32
WALLET = bytes(dev_account("client").key)


async def wallet_proof(node: Node, session_id: int, key: bytes = WALLET) -> dict[str, str]:
    """An answer to a challenge of the node."""
    async with httpx.AsyncClient(base_url=node.report.url) as http:
        told = (await http.get(f"/v1/auth/challenge?session_id={session_id}")).json()
    challenge = WalletChallenge(
        told["chain_id"],
        Address.from_hex(told["marketplace"]),
        Address.from_hex(told["host"]),
        int(told["session_id"]),
        ChallengeNonce.from_hex(told["nonce"]),
        told["expires"],
    )
    return {"nonce": told["nonce"], "signature": str(sign(challenge.signing_digest(), key))}


async def tokens_of(node: Node, session_id: int) -> int:
    kept = await node.ledger.session(session_id)
    return 0 if kept is None else sum(one.entry.billed for one in kept.entries)


def clear_init(session_id: int, **more: object) -> Frame:
    return {"type": "session_init", "session_id": str(session_id), **more}


async def clear_answer(wire: Wire) -> Frame:
    return await wire.ask(
        {"type": "prompt", "prompt": "Hi.", "max_tokens": 3}, "stream_end", "error"
    )


async def test_the_first_key_binds_the_session(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as client:
        await client.answer()
        before = await tokens_of(node, session_id)
        async with nodes.wire(node, session_id, STRANGER) as stranger:
            assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"
            assert (await stranger.ask(stranger.prompt(), "error"))["code"] == "OUT_OF_ORDER"
            reply = await stranger.ask(clear_init(session_id), "session_init_ack", "error")
            assert reply["code"] == "SESSION_NOT_YOURS"
            await stranger.send({"type": "session_end", "session_id": str(session_id)})
            assert (await stranger.next("error"))["code"] == "OUT_OF_ORDER"
        assert await tokens_of(node, session_id) == before
        assert await client.answer()


async def test_a_stranger_cannot_cancel(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node() as node,
        nodes.wire(node, session_id) as client,
        nodes.wire(node, session_id, STRANGER) as stranger,
    ):
        await client.begin()
        await client.send(client.prompt("Write a long story.", 60))
        await client.next("encrypted_chunk")
        cancel = {"type": "stream_cancel", "session_id": str(session_id)}
        await stranger.send(cancel)
        assert (await stranger.ask({"type": "ping"}, "pong"))["type"] == "pong"
        assert (await client.next("stream_end"))["reason"] == "complete"


async def test_a_binding_outlives_the_node(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as client:
        await client.answer()
    async with (
        nodes.node() as node,
        nodes.wire(node, session_id, STRANGER) as stranger,
        nodes.wire(node, session_id) as client,
    ):
        assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"
        assert await client.answer()


async def test_the_depositor_takes_over_what_a_stranger_bound(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node() as node,
        nodes.wire(node, session_id, STRANGER) as stranger,
        nodes.wire(node, session_id) as client,
    ):
        await stranger.begin()
        await stranger.send(stranger.prompt("Write a long story.", 500))
        await stranger.next("encrypted_chunk")
        assert (await client.begin())["code"] == "SESSION_NOT_YOURS"
        proof = await wallet_proof(node, session_id)
        assert (await client.begin(wallet=proof))["type"] == "session_init_ack"
        assert (await stranger.next("stream_end"))["reason"] == "cancelled"
        assert (await stranger.ask(stranger.prompt(), "error"))["code"] == "SESSION_NOT_YOURS"
        await stranger.send({"type": "session_end", "session_id": str(session_id)})
        assert (await stranger.next("error"))["code"] == "SESSION_NOT_YOURS"
        assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"
        assert await client.answer()


async def test_an_encryption_key_that_is_the_wallets_takes_over(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node() as node,
        nodes.wire(node, session_id, STRANGER) as stranger,
        nodes.wire(node, session_id, WALLET) as client,
    ):
        await stranger.begin()
        assert (await client.begin())["type"] == "session_init_ack"
        assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"


async def test_wallets_may_be_required(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node(rules=None, require_wallet_challenge="true") as node,
        nodes.wire(node, session_id) as wire,
    ):
        assert (await wire.begin())["code"] == "WALLET_PROOF_REQUIRED"
        foreign = await wallet_proof(node, session_id, STRANGER)
        assert (await wire.begin(wallet=foreign))["code"] == "WRONG_WALLET"
        proof = await wallet_proof(node, session_id)
        assert (await wire.begin(wallet=proof))["type"] == "session_init_ack"
        assert (await wire.begin(wallet=proof))["code"] == "CHALLENGE_UNKNOWN"
        assert await wire.answer()  # who has proven himself is known by his key


@pytest.mark.parametrize("restart", [False, True])
async def test_a_recorded_init_is_refused(nodes: NodeWorld, restart: bool) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as client:
        await client.answer()
        recorded = client.inits[0]
        if not restart:
            async with nodes.wire(node, session_id, STRANGER) as stranger:
                assert (await stranger.ask(recorded, "error"))["code"] == "REPLAYED"
    if restart:
        async with nodes.node() as node, nodes.wire(node, session_id, STRANGER) as stranger:
            assert (await stranger.ask(recorded, "error"))["code"] == "REPLAYED"


async def test_a_recorded_message_is_refused(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as client:
        await client.begin()
        prompt = client.prompt(max_tokens=3)
        await client.send(prompt)
        await client.streamed()
        assert (await client.ask(prompt, "error"))["code"] == "REPLAYED"


async def test_what_the_host_sent_does_not_come_back(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as client:
        await client.begin()
        await client.send(client.prompt(max_tokens=3))
        answer = await client.streamed()
        payloads = [answer.chunks[0]["payload"], answer.end["sealed_transcript"]]
        for payload in payloads:
            frame = {"type": "encrypted_message", "payload": payload}
            assert (await client.ask(frame, "error"))["code"] == "DECRYPTION_FAILED"


async def test_the_transcript_of_an_encrypted_session_is_sealed(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as client:
        await client.begin()
        await client.send(client.prompt(max_tokens=3))
        end = (await client.streamed()).end
        assert "transcript" not in end
        update = json.loads(client.open(end["sealed_transcript"]))
        assert update["header"]["salt"] not in json.dumps(end)


async def test_a_changed_outer_id_is_refused(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as client:
        frame = copy.deepcopy(client.init_frame())
        frame["session_id"] = str(session_id + 1)
        assert (await client.ask(frame, "error"))["code"] == "SESSION_MISMATCH"


async def test_a_key_whose_time_is_over_is_not_used(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node(rules=None, session_key_ttl_seconds=0.2) as node,
        nodes.wire(node, session_id) as client,
    ):
        await client.begin()
        async with asyncio.timeout(20):
            while len(node.sessions.admission.keys):
                await asyncio.sleep(0.01)
        reply = await client.ask(client.prompt(), "error")
        assert reply["code"] == "SESSION_KEY_NOT_FOUND"


async def test_jobs_that_are_not_to_be_served_are_refused(nodes: NodeWorld) -> None:
    world = nodes.world
    done = await world.open_session()
    await world.send("client", world.marketplace.complete(done))
    async with nodes.node() as node:
        for session_id, code in ((10**9, "JOB_NOT_FOUND"), (done, "JOB_NOT_ACTIVE")):
            async with nodes.wire(node, session_id) as wire:
                assert (await wire.begin())["code"] == code


async def test_a_job_that_ends_on_chain_is_served_no_longer(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node(changed(QUICK, recheck_seconds=0)) as node,
        nodes.wire(node, session_id) as wire,
    ):
        await wire.answer()
        await wire.begin()
        await nodes.world.send("client", nodes.world.marketplace.complete(session_id))
        assert (await wire.ask(wire.prompt(), "error"))["code"] == "JOB_NOT_ACTIVE"


async def test_in_the_clear_a_session_belongs_to_its_token(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as first:
        ack = await first.ask(clear_init(session_id), "session_init_ack")
        again = await first.ask(clear_init(session_id), "session_init_ack")
        assert again["session_token"] == ack["session_token"]
        assert (await clear_answer(first))["type"] == "stream_end"
        async with nodes.wire(node, session_id) as other:
            for token in ({}, {"session_token": "11" * 32}):
                reply = await other.ask(clear_init(session_id, **token), "error")
                assert reply["code"] == "SESSION_NOT_YOURS"
        async with nodes.wire(node, session_id) as later:
            token = {"session_token": ack["session_token"]}
            assert await later.ask(clear_init(session_id, **token), "session_init_ack")
            assert (await clear_answer(later))["type"] == "stream_end"


async def test_in_the_clear_the_depositor_takes_over_as_well(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node() as node,
        nodes.wire(node, session_id) as stranger,
        nodes.wire(node, session_id) as client,
    ):
        theirs = await stranger.ask(clear_init(session_id), "session_init_ack")
        proof = await wallet_proof(node, session_id)
        ours = await client.ask(clear_init(session_id, wallet=proof), "session_init_ack")
        assert ours["session_token"] != theirs["session_token"]
        assert (await clear_answer(stranger))["code"] == "SESSION_NOT_YOURS"
        again = clear_init(session_id, session_token=theirs["session_token"])
        assert (await stranger.ask(again, "error"))["code"] == "SESSION_NOT_YOURS"
        assert (await clear_answer(client))["type"] == "stream_end"


async def test_a_node_may_serve_encrypted_sessions_only(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with (
        nodes.node(rules=None, allow_plaintext="false") as node,
        nodes.wire(node, session_id) as wire,
    ):
        reply = await wire.ask(clear_init(session_id), "error")
        assert reply["code"] == "ENCRYPTION_REQUIRED"
        assert await wire.answer()
