"""Whoever guesses a session's id can neither read, bill, cancel nor end it."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path

import httpx
import pytest
from coincurve import PublicKey

from platformless.chain.devchain.accounts import dev_account
from platformless.node.running import Node
from platformless.protocol.digests import Address
from platformless.protocol.signatures import sign
from platformless.protocol.wallet_challenge import ChallengeNonce, WalletChallenge

from .served import Served
from .served import served as served
from .wire import Frame, Wire
from .world import QUICK, changed

pytestmark = pytest.mark.asyncio(loop_scope="module")
STRANGER = b"\x66" * 32
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


async def test_the_first_key_binds_the_session(served: Served) -> None:
    session_id = await served.session()
    async with served.wire(session_id) as client:
        await client.answer()
        before = await tokens_of(served.node, session_id)
        async with served.wire(session_id, STRANGER) as stranger:
            assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"
            assert (await stranger.ask(stranger.prompt(), "error"))["code"] == "OUT_OF_ORDER"
            reply = await stranger.ask(clear_init(session_id), "session_init_ack", "error")
            assert reply["code"] == "SESSION_NOT_YOURS"
            await stranger.send({"type": "session_end", "session_id": str(session_id)})
            assert (await stranger.next("error"))["code"] == "OUT_OF_ORDER"
        assert await tokens_of(served.node, session_id) == before
        assert await client.answer()


async def test_a_stranger_cannot_cancel(served: Served) -> None:
    session_id = await served.session()
    async with (
        served.wire(session_id) as client,
        served.wire(session_id, STRANGER) as stranger,
    ):
        await client.begin()
        await client.send(client.prompt("Write a long story.", 60))
        await client.next("encrypted_chunk")
        cancel = {"type": "stream_cancel", "session_id": str(session_id)}
        await stranger.send(cancel)
        assert (await stranger.ask({"type": "ping"}, "pong"))["type"] == "pong"
        assert (await client.next("stream_end"))["reason"] == "complete"


async def test_a_binding_outlives_the_node(served: Served, tmp_path: Path) -> None:
    session_id = await served.session()
    async with served.other(tmp_path) as node, served.wire(session_id, node=node) as client:
        await client.answer()
    async with (
        served.other(tmp_path) as node,
        served.wire(session_id, STRANGER, node) as stranger,
        served.wire(session_id, node=node) as client,
    ):
        assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"
        assert await client.answer()


async def test_the_depositor_takes_over_what_a_stranger_bound(served: Served) -> None:
    session_id = await served.session()
    async with (
        served.wire(session_id, STRANGER) as stranger,
        served.wire(session_id) as client,
    ):
        await stranger.begin()
        await stranger.send(stranger.prompt("Write a long story.", 500))
        await stranger.next("encrypted_chunk")
        assert (await client.begin())["code"] == "SESSION_NOT_YOURS"
        proof = await wallet_proof(served.node, session_id)
        assert (await client.begin(wallet=proof))["type"] == "session_init_ack"
        assert (await stranger.next("stream_end"))["reason"] == "cancelled"
        assert (await stranger.ask(stranger.prompt(), "error"))["code"] == "SESSION_NOT_YOURS"
        await stranger.send({"type": "session_end", "session_id": str(session_id)})
        assert (await stranger.next("error"))["code"] == "SESSION_NOT_YOURS"
        assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"
        assert await client.answer()


async def test_an_encryption_key_that_is_the_wallets_takes_over(served: Served) -> None:
    session_id = await served.session()
    async with (
        served.wire(session_id, STRANGER) as stranger,
        served.wire(session_id, WALLET) as client,
    ):
        await stranger.begin()
        assert (await client.begin())["type"] == "session_init_ack"
        assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"


async def test_wallets_may_be_required(served: Served, tmp_path: Path) -> None:
    session_id = await served.session()
    async with (
        served.other(tmp_path, rules=None, require_wallet_challenge="true") as node,
        served.wire(session_id, node=node) as wire,
    ):
        assert (await wire.begin())["code"] == "WALLET_PROOF_REQUIRED"
        foreign = await wallet_proof(node, session_id, STRANGER)
        assert (await wire.begin(wallet=foreign))["code"] == "WRONG_WALLET"
        others = await wallet_proof(node, session_id + 1)
        assert (await wire.begin(wallet=others))["code"] == "CHALLENGE_UNKNOWN"
        reply = await wire.ask(clear_init(session_id), "session_init_ack", "error")
        assert reply["code"] == "WALLET_PROOF_REQUIRED"
        proof = await wallet_proof(node, session_id)
        assert (await wire.begin(wallet=proof))["type"] == "session_init_ack"
        assert (await wire.begin(wallet=proof))["code"] == "CHALLENGE_UNKNOWN"
        assert await wire.answer()  # who has proven himself is known by his key


@pytest.mark.parametrize(
    "proof",
    [
        {"nonce": "", "signature": ""},
        {"nonce": "zz", "signature": "00" * 65},
        {"nonce": "00" * 32, "signature": "00" * 65},
        {"nonce": "\u0662" * 64, "signature": "zz"},
    ],
)
async def test_a_wallet_proof_that_is_none_is_refused(
    served: Served, proof: dict[str, str]
) -> None:
    async with served.wire() as wire:
        assert (await wire.begin(wallet=proof))["code"] == "CHALLENGE_UNKNOWN"
        known = (await wallet_proof(served.node, wire.session_id))["nonce"]
        broken = {"nonce": known, "signature": proof["signature"]}
        assert (await wire.begin(wallet=broken))["code"] == "WRONG_WALLET"
        assert await wire.answer()


async def test_a_recorded_init_is_refused(served: Served, tmp_path: Path) -> None:
    session_id = await served.session()
    async with served.other(tmp_path) as node:
        async with served.wire(session_id, node=node) as client:
            await client.answer()
            recorded = client.inits[0]
        other_form = copy.deepcopy(recorded)
        key = PublicKey(bytes.fromhex(recorded["payload"]["ephPubHex"]))
        other_form["payload"]["ephPubHex"] = key.format(compressed=False).hex()
        async with served.wire(session_id, STRANGER, node) as stranger:
            for frame in (recorded, other_form):
                assert (await stranger.ask(frame, "error"))["code"] == "REPLAYED"
            reply = await stranger.ask(stranger.prompt(), "error")
            assert reply["code"] == "OUT_OF_ORDER"
    async with served.other(tmp_path) as node, served.wire(session_id, node=node) as stranger:
        assert (await stranger.ask(recorded, "error"))["code"] == "REPLAYED"


async def test_a_recorded_message_is_refused(served: Served) -> None:
    session_id = await served.session()
    async with served.wire(session_id) as client:
        await client.begin()
        prompt = client.prompt(max_tokens=3)
        await client.send(prompt)
        await client.streamed()
        assert (await client.ask(prompt, "error"))["code"] == "REPLAYED"


async def test_what_the_host_sent_does_not_come_back(served: Served) -> None:
    session_id = await served.session()
    async with served.wire(session_id) as client:
        await client.begin()
        await client.send(client.prompt(max_tokens=3))
        answer = await client.streamed()
        payloads = [answer.chunks[0]["payload"], answer.end["sealed_transcript"]]
        for payload in payloads:
            frame = {"type": "encrypted_message", "payload": payload}
            assert (await client.ask(frame, "error"))["code"] == "DECRYPTION_FAILED"


async def test_the_transcript_of_an_encrypted_session_is_sealed(served: Served) -> None:
    session_id = await served.session()
    async with served.wire(session_id) as client:
        await client.begin()
        await client.send(client.prompt(max_tokens=3))
        end = (await client.streamed()).end
        assert "transcript" not in end
        update = json.loads(client.open(end["sealed_transcript"]))
        assert update["header"]["salt"] not in json.dumps(end)


async def test_a_changed_outer_id_is_refused(served: Served) -> None:
    session_id = await served.session()
    async with served.wire(session_id) as client:
        frame = copy.deepcopy(client.init_frame())
        frame["session_id"] = str(session_id + 1)
        assert (await client.ask(frame, "error"))["code"] == "SESSION_MISMATCH"


async def test_a_key_whose_time_is_over_is_not_used(served: Served, tmp_path: Path) -> None:
    async with (
        served.other(tmp_path, rules=None, session_key_ttl_seconds=0.2) as node,
        served.wire(node=node) as client,
    ):
        await client.begin()
        async with asyncio.timeout(60):
            while len(node.sessions.admission.keys):
                await asyncio.sleep(0.01)
        reply = await client.ask(client.prompt(), "error")
        assert reply["code"] == "SESSION_KEY_NOT_FOUND"


async def test_jobs_that_are_not_to_be_served_are_refused(served: Served) -> None:
    world = served.nodes.world
    done = await served.session()
    await world.send("client", world.marketplace.complete(done))
    await world.register("host-2")
    foreign = await world.open_session(host=world.address("host-2"))
    for session_id, code in (
        (10**9, "JOB_NOT_FOUND"),
        (2**64 - 1, "JOB_NOT_FOUND"),
        (done, "JOB_NOT_ACTIVE"),
        (foreign, "WRONG_HOST"),
    ):
        async with served.wire(session_id) as wire:
            assert (await wire.begin())["code"] == code
            reply = await wire.ask(clear_init(session_id), "session_init_ack", "error")
            assert reply["code"] == code
            assert (await wire.ask(wire.prompt(), "error"))["code"] == "OUT_OF_ORDER"


async def test_a_job_that_ends_on_chain_is_served_no_longer(served: Served, tmp_path: Path) -> None:
    world = served.nodes.world
    async with (
        served.other(tmp_path, changed(QUICK, recheck_seconds=0)) as node,
        served.wire(node=node) as wire,
    ):
        await wire.answer()
        await wire.begin()
        await world.send("client", world.marketplace.complete(wire.session_id))
        assert (await wire.ask(wire.prompt(), "error"))["code"] == "JOB_NOT_ACTIVE"
        assert (await wire.next("stream_end"))["reason"] == "error"


async def test_in_the_clear_a_session_belongs_to_its_token(served: Served) -> None:
    session_id = await served.session()
    async with served.wire(session_id) as first:
        ack = await first.ask(clear_init(session_id), "session_init_ack")
        again = await first.ask(clear_init(session_id), "session_init_ack")
        assert again["session_token"] == ack["session_token"]
        assert (await clear_answer(first))["type"] == "stream_end"
        async with served.wire(session_id) as other:
            for token in ({}, {"session_token": "11" * 32}):
                reply = await other.ask(clear_init(session_id, **token), "error")
                assert reply["code"] == "SESSION_NOT_YOURS"
        async with served.wire(session_id) as later:
            token = {"session_token": ack["session_token"]}
            assert await later.ask(clear_init(session_id, **token), "session_init_ack")
            assert (await clear_answer(later))["type"] == "stream_end"


async def test_in_the_clear_the_depositor_takes_over_as_well(served: Served) -> None:
    session_id = await served.session()
    async with (
        served.wire(session_id) as stranger,
        served.wire(session_id) as client,
    ):
        theirs = await stranger.ask(clear_init(session_id), "session_init_ack")
        proof = await wallet_proof(served.node, session_id)
        ours = await client.ask(clear_init(session_id, wallet=proof), "session_init_ack")
        assert ours["session_token"] != theirs["session_token"]
        assert (await clear_answer(stranger))["code"] == "SESSION_NOT_YOURS"
        again = clear_init(session_id, session_token=theirs["session_token"])
        assert (await stranger.ask(again, "error"))["code"] == "SESSION_NOT_YOURS"
        assert (await clear_answer(client))["type"] == "stream_end"


async def test_a_node_may_serve_encrypted_sessions_only(served: Served, tmp_path: Path) -> None:
    async with (
        served.other(tmp_path, rules=None, allow_plaintext="false") as node,
        served.wire(node=node) as wire,
    ):
        reply = await wire.ask(clear_init(wire.session_id), "error")
        assert reply["code"] == "ENCRYPTION_REQUIRED"
        body = {"prompt": "Hi.", "session_id": wire.session_id}
        async with httpx.AsyncClient(base_url=node.report.url) as http:
            refused = await http.post("/v1/inference", json=body)
        assert refused.json()["details"]["wire_code"] == "ENCRYPTION_REQUIRED"
        assert await wire.answer()
