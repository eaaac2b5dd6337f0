"""Metering of real streams: what was streamed is counted, cut where the contract takes it, and
never more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from platformless.chain.money import Price
from platformless.client import AnswerFailed, ClientSession, HostRefused
from platformless.client.requests import Sampling
from platformless.node.running import Node
from platformless.node.sessions.keeping import LOSS_TOKENS
from platformless.protocol.delta import merge
from platformless.protocol.transcript import Kind
from platformless.prover.ledger.errors import LedgerUnavailable
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.values import Changes, KeptSession

from .served import Served, own_node, until
from .served import served as served
from .world import QUICK, changed

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "Write a very long story about the sea, with many chapters."
GREEDY = Sampling(temperature=0.0)


async def kept(node: Node, session: ClientSession) -> KeptSession:
    found = await node.ledger.session(session.id)
    assert found is not None
    return found


async def require_joined(node: Node, session_id: int) -> int:
    """Every checkpoint's window can be made again, and follows the one before. Returns the tokens
    that they claim."""
    found = await node.ledger.session(session_id)
    assert found is not None
    tokens, state = 0, None
    for checkpoint in found.checkpoints:
        claim = (await node.ledger.window(session_id, checkpoint.number)).claim()
        assert claim.tokens_before == tokens
        assert state in (None, claim.state_before)
        assert claim.tokens >= 100
        tokens, state = claim.tokens_after, claim.state_after
    return tokens


async def test_a_long_answer_is_cut_within(served: Served, tmp_path: Path) -> None:
    own = own_node(served, tmp_path, checkpoint_tokens=100)
    async with own as node, served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            answer = await session.ask(LONG, max_tokens=250, sampling=GREEDY)
            text = await answer.text()
            assert answer.report.tokens == 250
            found = await kept(node, session)
            assert [one.tokens_after for one in found.checkpoints] == [100, 200]
            parts = [one.entry for one in found.entries if one.entry.kind is Kind.COMPLETION]
            assert [len(one.tokens) for one in parts] == [100, 100, 50]
            assert "".join(one.text for one in parts) == text
            assert tuple(one.entry for one in found.entries) == session.history
            assert await require_joined(node, session.id) == 200
            for checkpoint in found.checkpoints:
                assert await node.ledger.acknowledgement(session.id, checkpoint.state_after)
            assert {one.delta.engine for one in found.checkpoints} == {node.engine.record}
            assert session.transcript.engine == node.engine.record
            told = merge([checkpoint.delta for checkpoint in found.checkpoints])
            assert [message.role for message in told] == ["user", "assistant"]
            assert text.startswith(told[1].content)


async def test_an_ended_session_claims_what_the_contract_takes(served: Served) -> None:
    node, nodes = served.node, served.nodes
    async with nodes.client() as client:
        session = await nodes.open(client)
        await session.connect()
        await (await session.ask(LONG, max_tokens=120, sampling=GREEDY)).text()
        ended = await session.end()
        assert (ended.tokens, ended.unclaimed) == (120, 0)
        found = await kept(node, session)
        assert found.ended
        assert [one.tokens_after for one in found.checkpoints] == [120]
        with pytest.raises(HostRefused) as refused:
            await session.connect()
        assert "SESSION_ENDED" in str(refused.value)


async def test_too_few_tokens_end_unclaimed(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    node, nodes = served.node, served.nodes
    async with nodes.client() as client:
        session = await nodes.open(client)
        await session.connect()
        await (await session.ask(LONG, max_tokens=20, sampling=GREEDY)).text()
        with caplog.at_level("INFO"):
            ended = await session.end()
        assert (ended.tokens, ended.unclaimed) == (20, 20)
        assert (await kept(node, session)).checkpoints == ()
        assert "20 tokens unclaimed" in caplog.text


async def test_a_client_that_stays_away_has_its_checkpoint_cut(served: Served) -> None:
    node, nodes = served.node, served.nodes
    async with nodes.client() as client:
        session = await nodes.open(client)
        async with session:
            await (await session.ask(LONG, max_tokens=110, sampling=GREEDY)).text()
            assert (await kept(node, session)).checkpoints == ()

        async def cut() -> bool:
            return len((await kept(node, session)).checkpoints) == 1

        await until(cut)
        await until(lambda: _forgotten(node))
        async with session:
            await (await session.ask("Go on.", max_tokens=20, sampling=GREEDY)).text()
        assert session.tokens == 130


async def test_a_client_that_goes_in_mid_answer_pays_for_what_it_was_sent(served: Served) -> None:
    node, nodes = served.node, served.nodes
    async with nodes.client() as client:
        session = await nodes.open(client)
        await session.connect()
        answer = await session.ask(LONG, max_tokens=900, sampling=GREEDY)
        pieces = aiter(answer)
        for _ in range(105):
            await anext(pieces)
        await session.close()

        async def cut() -> bool:
            return len((await kept(node, session)).checkpoints) == 1

        await until(cut)
        found = await kept(node, session)
        counted = sum(one.entry.billed for one in found.entries)
        assert 105 <= counted < 900
        assert await require_joined(node, session.id) == counted


async def _forgotten(node: Node) -> bool:
    return len(node.sessions) == 0


async def test_a_checkpoint_is_cut_before_its_proof_would_be_late(
    served: Served, tmp_path: Path
) -> None:
    rules = changed(QUICK, grace_seconds=3600, proof_margin_seconds=3600)
    nodes = served.nodes
    async with own_node(served, tmp_path, rules) as node, nodes.client() as client:
        # Half of its timeout is the most that the margin may be.
        session = await nodes.open(client, proof_timeout_seconds=60)
        async with session:
            await (await session.ask(LONG, max_tokens=110, sampling=GREEDY)).text()
            assert (await kept(node, session)).checkpoints == ()
            nodes.ahead_seconds = 31

            async def cut() -> bool:
                return len((await kept(node, session)).checkpoints) == 1

            await until(cut)


async def test_a_node_that_starts_again_goes_on_with_what_it_cut(
    served: Served, tmp_path: Path
) -> None:
    nodes = served.nodes
    async with nodes.client() as client:
        async with own_node(served, tmp_path):
            session = await nodes.open(client)
            await session.connect()
            await (await session.ask(LONG, max_tokens=110, sampling=GREEDY)).text()
        state = session.transcript.state
        async with own_node(served, tmp_path) as node:
            found = await kept(node, session)
            assert [one.tokens_after for one in found.checkpoints] == [110]
            async with nodes.wire(node, session.id, b"\x66" * 32) as stranger:
                assert (await stranger.begin())["code"] == "SESSION_NOT_YOURS"
            session = await client.resume(session.id)
            async with session:
                assert session.transcript.state == state
                await (await session.ask("Go on.", max_tokens=20, sampling=GREEDY)).text()
                assert session.tokens == 130
                assert len(session.turns) == 2


async def test_an_answer_that_the_node_stops_counts_as_far_as_it_went(
    served: Served, tmp_path: Path
) -> None:
    async with served.nodes.client() as client, own_node(served, tmp_path) as node:
        session = await served.nodes.open(client)
        await session.connect()
        answer = await session.ask(LONG, max_tokens=900, sampling=GREEDY)
        await anext(aiter(answer))
        stopping = asyncio.create_task(node.sessions.drain(0))
        await answer.text()
        await stopping
        assert answer.report.reason == "shutting_down"
        assert answer.report.tokens < 900
        with pytest.raises((HostRefused, AnswerFailed)):
            await (await session.ask("More?")).text()


@pytest.mark.parametrize("made", [False, True])
async def test_a_session_whose_ledger_failed_goes_on_with_what_was_kept(
    served: Served, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    """Whether a change that failed was made is not known: the session is read anew."""
    append, failures = Ledger.append, 0

    async def failing(ledger: Ledger, session_id: int, changes: Changes) -> None:
        nonlocal failures
        kinds = [one.entry.kind for one in changes.entries]
        if failures or kinds != [Kind.COMPLETION]:
            await append(ledger, session_id, changes)
            return
        failures += 1
        if made:
            await append(ledger, session_id, changes)
        raise LedgerUnavailable("the disk is gone")

    node, nodes = served.node, served.nodes
    async with nodes.client() as client:
        async with await nodes.open(client) as session:
            first = await session.ask("Hello.", max_tokens=5)
            await first.text()
            monkeypatch.setattr(Ledger, "append", failing)
            broken = await session.ask(LONG, max_tokens=40, sampling=GREEDY)
            with pytest.raises(HostRefused):
                await broken.text()
            last = await session.ask("Go on.", max_tokens=10, sampling=GREEDY)
            await last.text()
            counted = session.turns[1]
            assert broken.received.startswith(counted.text)
            assert 40 - LOSS_TOKENS <= counted.tokens <= 40
            assert session.tokens == first.report.tokens + counted.tokens + last.report.tokens
            assert tuple(one.entry for one in (await kept(node, session)).entries) == (
                session.history
            )


async def test_streaming_stops_when_the_deposit_is_used_up(served: Served) -> None:
    world = served.nodes.world
    dear = Price(5_000_000, world.network.usdc)  # half an USDC pays for 100 tokens
    session_id = await world.open_session(price=dear)
    node, nodes = served.node, served.nodes
    async with nodes.client() as client:
        async with await client.resume(session_id) as session:
            assert session.tokens_left == 100
            answer = await session.ask(LONG, max_tokens=200, sampling=GREEDY)
            await answer.text()
            assert answer.report.tokens == 100
            assert answer.report.reason == "deposit_used_up"
            assert "open another session" in (answer.report.message or "")
            with pytest.raises((HostRefused, AnswerFailed)) as refused:
                await (await session.ask("More?")).text()
            assert "DEPOSIT_USED_UP" in str(refused.value)
            assert sum(one.entry.billed for one in (await kept(node, session)).entries) == 100
