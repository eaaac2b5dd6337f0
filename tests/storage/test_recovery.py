"""A session on a real chain, published to a real portal, recovered when the host is gone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest

from platformless.audit import evidence
from platformless.audit.errors import (
    BundleMismatch,
    DeltaMismatch,
    DeltaNotInClaim,
    EventMismatch,
    ForeignDelta,
    KeyNeeded,
    NothingPublished,
    Rejection,
)
from platformless.audit.evidence import EvidenceLimits
from platformless.audit.recovery import RecoveredSession, recover_session
from platformless.chain.connection import Chain
from platformless.chain.devchain import DevChain, start_dev_chain
from platformless.chain.money import Price
from platformless.chain.session import ProofSubmission
from platformless.errors import PlatformlessError
from platformless.protocol import delta as deltas
from platformless.protocol.bundle import Bundle
from platformless.protocol.delta import Delta
from platformless.protocol.digests import ProofHash
from platformless.protocol.errors import SealBroken
from platformless.protocol.host_key import LocalKey
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.transcript import Tokens
from platformless.storage.cids import BlobId
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.errors import BlobTooLarge, BlobUnavailable
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portals import Portals, PortalsSettings
from platformless.storage.publication import Checkpoint, CheckpointPublisher, Published
from tests.chain.faulty import FaultyNode, for_method, reply
from tests.chain.world import World
from tests.data.make_recovery import BUNDLES, PRICE, SESSION_ID, checkpoints

CLIENT_KEY = b"\x08" * 32
IMPATIENT = PortalsSettings(patience_seconds=1)


@dataclass
class Stage:
    """A new dev chain, whose first session the committed proofs are of, and a portal."""

    world: World
    portal: EmbeddedPortal
    folder: Path

    @property
    def dev_chain(self) -> DevChain:
        return self.world.dev_chain

    def deltas(self) -> list[Delta]:
        """The session's deltas, naming the committed proofs."""
        made = checkpoints(self.dev_chain)
        bundles = [path.read_bytes() for path in BUNDLES]
        return [
            item.delta.with_proof(ProofHash.of(bundle))
            for item, bundle in zip(made, bundles, strict=True)
        ]

    def publisher(self, portals: Portals, key: bytes | None = None) -> CheckpointPublisher:
        host = self.dev_chain.accounts["host"]
        return CheckpointPublisher(
            self.folder / "checkpoints",
            LocalKey(key or bytes(host.key)),
            portals,
        )

    async def publish(self, *, sealed: bool = True, key: bytes | None = None) -> list[Published]:
        recovery_key = PublicKeyBytes.of(CLIENT_KEY) if sealed else None
        async with Portals([PortalClient(ClientSettings(self.portal.url))]) as portals:
            publisher = self.publisher(portals, key)
            return [
                await publisher.publish(Checkpoint(delta, path.read_bytes(), 5, recovery_key))
                for delta, path in zip(self.deltas(), BUNDLES, strict=True)
            ]

    async def put(self, data: bytes) -> str:
        async with Portals([PortalClient(ClientSettings(self.portal.url))]) as portals:
            return str(await portals.put(data))

    async def open_session(self) -> None:
        deposit = self.world.network.usdc.amount("5")
        session_id = await self.world.open_session(
            deposit=deposit, price=Price(PRICE, self.world.network.usdc)
        )
        assert session_id == SESSION_ID

    async def submit(
        self, number: int, *, proof_cid: str, delta_cid: str, proof_hash: ProofHash | None = None
    ) -> None:
        delta = self.deltas()[number]
        await self.world.pass_time(60)
        tokens = Tokens(delta.tokens_after - delta.tokens_before)
        submission = ProofSubmission(
            SESSION_ID, tokens, proof_hash or delta.proof_hash, proof_cid, delta_cid
        )
        await self.world.send("host", self.world.marketplace.submit_proof(submission))

    async def submit_all(self, published: list[Published]) -> None:
        await self.open_session()
        for number, item in enumerate(published):
            await self.submit(number, proof_cid=item.proof_cid, delta_cid=item.delta_cid)

    async def recover(
        self, key: bytes | None = CLIENT_KEY, *, rpc_url: str | None = None
    ) -> RecoveredSession:
        clients = [PortalClient(ClientSettings(self.portal.url))]
        urls = (rpc_url,) if rpc_url else self.world.network.rpc_urls
        async with (
            Chain(self.world.network, rpc_urls=urls) as chain,
            Portals(clients, IMPATIENT) as portals,
        ):
            return await recover_session(chain, portals, SESSION_ID, key)


@pytest.fixture
async def stage(portal: EmbeddedPortal, tmp_path: Path) -> AsyncIterator[Stage]:
    with await start_dev_chain() as dev_chain:
        async with World(dev_chain, tmp_path) as world:
            yield Stage(world, portal, tmp_path)


def problem_of(found: RecoveredSession, number: int) -> type[PlatformlessError] | None:
    item = found.checkpoints[number]
    problem = item.problem or item.proof_problem
    return None if problem is None else type(problem)


async def test_a_conversation_is_recovered_and_bound_to_its_proofs(stage: Stage) -> None:
    await stage.submit_all(await stage.publish())
    found = await stage.recover()
    assert found.complete
    assert [item.proof is not None for item in found.checkpoints] == [True, True]
    expected = [message for delta in stage.deltas() for message in delta.messages]
    assert list(found.conversation) == expected
    assert "lighthouse" in found.conversation[0].content
    json.dumps(found.to_json())


async def test_deltas_in_the_clear_need_no_key(stage: Stage) -> None:
    await stage.submit_all(await stage.publish(sealed=False))
    assert (await stage.recover(None)).complete


async def test_without_the_key_nothing_is_read_and_proofs_still_hold(stage: Stage) -> None:
    await stage.submit_all(await stage.publish())
    for key, problem in ((None, KeyNeeded), (b"\x09" * 32, SealBroken)):
        found = await stage.recover(key)
        assert found.conversation == ()
        assert not found.complete
        assert problem_of(found, 0) is problem
        assert all(item.proof is not None for item in found.checkpoints)


async def test_a_lost_delta_does_not_keep_the_others_away(stage: Stage) -> None:
    published = await stage.publish()
    await stage.submit_all(published)
    await delete(stage, published[0].delta_cid)
    found = await stage.recover()
    assert problem_of(found, 0) is BlobUnavailable
    assert problem_of(found, 1) is None
    assert list(found.conversation) == list(stage.deltas()[1].messages)


async def test_deltas_do_not_fill_the_memory_together(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = await stage.publish()
    await stage.submit_all(published)
    room = BlobId.parse(published[0].delta_cid).size
    monkeypatch.setattr(evidence, "EvidenceLimits", partial(EvidenceLimits, deltas_bytes=room))
    found = await stage.recover()
    assert [problem_of(found, number) for number in (0, 1)] == [None, BlobTooLarge]


async def test_a_lost_bundle_leaves_the_messages_unbound(stage: Stage) -> None:
    published = await stage.publish()
    await stage.submit_all(published)
    await delete(stage, published[1].proof_cid)
    found = await stage.recover()
    assert not found.complete
    assert problem_of(found, 1) is BlobUnavailable
    assert found.checkpoints[1].delta is not None


async def test_a_delta_that_the_host_did_not_sign_is_not_believed(stage: Stage) -> None:
    await stage.submit_all(await stage.publish(key=b"\x31" * 32))
    found = await stage.recover()
    assert problem_of(found, 0) is ForeignDelta
    assert found.conversation == ()


async def test_a_host_that_signs_other_messages_later_is_caught_by_the_proof(
    stage: Stage,
) -> None:
    published = await stage.publish()
    delta = stage.deltas()[0]
    changed = replace(
        delta, messages=(*delta.messages[:-1], replace(delta.messages[-1], content="Never said"))
    )
    host_key = bytes(stage.dev_chain.accounts["host"].key)
    forged = await stage.put(deltas.encode(deltas.sign(changed, host_key)))
    await stage.open_session()
    await stage.submit(0, proof_cid=published[0].proof_cid, delta_cid=forged)
    found = await stage.recover()
    assert problem_of(found, 0) is DeltaNotInClaim
    assert not found.complete


async def test_the_delta_of_another_checkpoint_is_not_taken(stage: Stage) -> None:
    published = await stage.publish()
    await stage.open_session()
    await stage.submit(0, proof_cid=published[0].proof_cid, delta_cid=published[1].delta_cid)
    assert problem_of(await stage.recover(), 0) is DeltaMismatch


async def test_the_bundle_of_another_checkpoint_is_not_taken(stage: Stage) -> None:
    published = await stage.publish()
    await stage.open_session()
    await stage.submit(0, proof_cid=published[1].proof_cid, delta_cid=published[0].delta_cid)
    assert problem_of(await stage.recover(), 0) is BundleMismatch


async def test_a_forged_bundle_is_rejected_for_its_claim(stage: Stage) -> None:
    published = await stage.publish()
    bundle = Bundle.decode(BUNDLES[0].read_bytes())
    journal = bytearray(bundle.journal)
    journal[12 * 32 + 31] ^= 1
    forged = replace_journal(bundle, bytes(journal)).encode()
    await stage.open_session()
    await stage.submit(
        0,
        proof_cid=await stage.put(forged),
        delta_cid=published[0].delta_cid,
        proof_hash=ProofHash.of(forged),
    )
    item = (await stage.recover()).checkpoints[0]
    assert isinstance(item.problem, DeltaMismatch)
    assert isinstance(item.proof_problem, Rejection)


async def test_a_node_that_hides_events_does_not_make_a_session_whole(stage: Stage) -> None:
    """The contract counts tokens and keeps the deltas' names; proofs are named in events alone."""
    await stage.submit_all(await stage.publish())
    async with FaultyNode(stage.dev_chain.rpc_url) as node:
        node.fault = for_method("eth_getLogs", reply(result=[]))
        found = await stage.recover(rpc_url=node.url)
    assert not found.complete
    assert len(found.checkpoints) == 2
    assert [message.role for message in found.conversation][:2] == ["user", "assistant"]
    assert all(isinstance(item.proof_problem, EventMismatch) for item in found.checkpoints)


async def test_a_session_that_counts_more_tokens_than_are_shown_is_not_complete(
    stage: Stage,
) -> None:
    await stage.submit_all(await stage.publish())
    found = await stage.recover()
    counted = Tokens(found.session.tokens_proven + 1)
    assert not replace(found, session=replace(found.session, tokens_proven=counted)).complete
    assert not replace(found, checkpoints=found.checkpoints[:1]).complete


async def test_a_claim_that_joins_no_accepted_claim_is_not_believed(stage: Stage) -> None:
    published = await stage.publish()
    await stage.submit_all(published)
    await delete(stage, published[0].proof_cid)
    found = await stage.recover()
    assert isinstance(found.checkpoints[1].proof_problem, EventMismatch)
    assert found.checkpoints[1].delta is not None


async def test_a_proof_without_cids_is_told(stage: Stage) -> None:
    await stage.open_session()
    await stage.submit(0, proof_cid="", delta_cid="")
    item = (await stage.recover()).checkpoints[0]
    assert isinstance(item.problem, NothingPublished)
    assert isinstance(item.proof_problem, NothingPublished)


async def test_the_command_prints_the_conversation_and_writes_json(stage: Stage) -> None:
    await stage.submit_all(await stage.publish())
    environment = stage.folder / ".env"
    environment.write_text("".join(f"{k}={v}\n" for k, v in stage.dev_chain.environment().items()))
    key = stage.folder / "key"
    key.write_text("0x" + CLIENT_KEY.hex() + "\n")
    out = stage.folder / "conversation.json"
    shown = await command(
        stage, "--env-file", str(environment), "--key-file", str(key), "--out", str(out)
    )
    assert shown.returncode == 0, shown.stderr
    assert stage.deltas()[1].messages[-1].content[:60] in shown.stdout
    assert shown.stdout.count("bound to proof") == 2
    assert json.loads(out.read_text())["complete"] is True
    assert out.stat().st_mode & 0o777 == 0o600
    told = await command(stage, "--env-file", str(environment), "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["outcome"] == "incomplete"
    assert json.loads(told.stdout)["recovery"]["checkpoints"][0]["problem"]["code"] == "RCV-002"
    key.write_text("0x12")
    wrong = await command(stage, "--env-file", str(environment), "--key-file", str(key))
    assert wrong.returncode == 2
    assert "32 bytes" in wrong.stderr


async def command(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    full = [sys.executable, "-m", "platformless.prover", "recover", str(SESSION_ID)]
    full += ["--portal", stage.portal.url, *arguments]
    return await asyncio.to_thread(
        subprocess.run, full, capture_output=True, text=True, timeout=60, check=False
    )


async def delete(stage: Stage, cid: str) -> None:
    """Makes the portal forget a blob."""
    async with httpx.AsyncClient(base_url=stage.portal.url) as http:
        reply = await http.delete(f"/s5/delete/{cid}")
        assert reply.is_success


def replace_journal(bundle: Bundle, journal: bytes) -> Bundle:
    return msgspec.structs.replace(bundle, journal=journal)
