"""Paid conversations with the real model: encrypted, verified, acknowledged, kept."""

from __future__ import annotations

import asyncio

import pytest

from platformless.client import HostRefused
from platformless.client.requests import Sampling
from platformless.protocol.prompt import Prompt
from platformless.protocol.transcript import Kind

from .world import NodeWorld

GREEDY = Sampling(temperature=0.0)


async def test_a_conversation_is_streamed_verified_and_kept(nodes: NodeWorld) -> None:
    async with nodes.node() as node, nodes.client() as client:
        session = await nodes.open(client)
        async with session:
            first = await session.ask("What is a lighthouse?", max_tokens=30)
            pieces = [piece async for piece in first]
            assert len(pieces) > 20
            assert "".join(pieces) == first.report.text
            assert first.report.tokens == 30
            second = await session.ask("And who keeps it?", max_tokens=30)
            assert await second.text()
            assert session.tokens == first.report.tokens + second.report.tokens
        kept = await node.ledger.session(session.id)
        assert kept is not None
        assert tuple(one.entry for one in kept.entries) == session.history
        assert [one.entry.kind for one in kept.entries] == [Kind.PROMPT, Kind.COMPLETION] * 2
        assert len(kept.acknowledgements) == 2


async def test_the_model_sees_what_was_said_before(nodes: NodeWorld) -> None:
    async with nodes.node() as node, nodes.client() as client:
        async with await nodes.open(client) as session:
            await (await session.ask("My name is Ada.", max_tokens=12, sampling=GREEDY)).text()
            answer = await session.ask("What is my name?", max_tokens=30, sampling=GREEDY)
            assert await answer.text()
            usage = answer.report.usage
            assert usage is not None
            assert usage.prompt_tokens == sum(len(one.tokens) for one in session.history[:3])
            prompts = [one for one in session.history if one.kind is Kind.PROMPT]
            assert [Prompt.read(one.text).continues for one in prompts] == [False, True]
        assert node.sessions.answering == 0


async def test_a_new_context_forgets(nodes: NodeWorld) -> None:
    async with nodes.node(), nodes.client() as client:
        async with await nodes.open(client) as session:
            first = await session.ask("Count to five.", max_tokens=20, sampling=GREEDY)
            text = await first.text()
            await (await session.ask("And back.", max_tokens=20, sampling=GREEDY)).text()
            again = await session.ask(
                "Count to five.", max_tokens=20, sampling=GREEDY, new_context=True
            )
            assert await again.text() == text


async def test_greedy_answers_are_the_same_in_every_session(nodes: NodeWorld) -> None:
    texts = []
    async with nodes.node(), nodes.client() as client:
        for _ in range(2):
            async with await nodes.open(client) as session:
                answer = await session.ask("Name three trees.", max_tokens=25, sampling=GREEDY)
                texts.append(await answer.text())
    assert texts[0] == texts[1]


async def test_an_answer_stops_at_a_stop_string(nodes: NodeWorld) -> None:
    async with nodes.node(), nodes.client() as client:
        async with await nodes.open(client) as session:
            whole = await session.ask("Count from 1 to 9.", max_tokens=40, sampling=GREEDY)
            stop = (await whole.text())[5:7]
            cut = await session.ask(
                "Count from 1 to 9.", max_tokens=40, sampling=GREEDY, stop=(stop,), new_context=True
            )
            text = await cut.text()
            assert stop not in text
            assert whole.report.text.startswith(text)
            assert cut.report.finish_reason == "stop"
            assert cut.report.tokens < whole.report.tokens


async def test_a_cancelled_answer_counts_what_was_sent(nodes: NodeWorld) -> None:
    async with nodes.node(), nodes.client() as client:
        async with await nodes.open(client) as session:
            answer = await session.ask("Write a long story.", max_tokens=500)
            pieces = aiter(answer)
            for _ in range(5):
                await anext(pieces)
            await answer.cancel()
            await answer.text()
            assert answer.report.reason == "cancelled"
            assert 5 <= answer.report.tokens < 100
            assert session.history[-1].text == answer.report.text
            assert await (await session.ask("And now?", max_tokens=10)).text()


async def test_a_conversation_goes_on_after_its_connection_broke(nodes: NodeWorld) -> None:
    async with nodes.node() as node, nodes.client() as client:
        session = await nodes.open(client)
        await session.connect()
        answer = await session.ask("Write a long story.", max_tokens=300)
        pieces = aiter(answer)
        received = "".join([await anext(pieces) for _ in range(20)])
        await session.close()  # in mid-answer
        session = await client.resume(session.id)
        async with session:
            async with asyncio.timeout(20):
                while node.sessions.answering:
                    await asyncio.sleep(0.01)
            assert await (await session.ask("Go on.", max_tokens=10, sampling=GREEDY)).text()
            broken = session.history[1]
            assert broken.text.startswith(received)
            assert len(broken.tokens) < 300


async def test_a_conversation_that_fills_the_context_is_told_so(nodes: NodeWorld) -> None:
    async with nodes.node() as node, nodes.client() as client:
        async with await nodes.open(client) as session:
            await (await session.ask("Hello.", max_tokens=5)).text()
            with pytest.raises(HostRefused) as refused:
                await (await session.ask("word " * 1500)).text()
            assert "TOKEN_LIMIT_EXCEEDED" in str(refused.value)
            assert node.engine.context_size == 1024
            assert await (await session.ask("Hello?", max_tokens=5)).text()


async def test_several_sessions_stream_at_once(nodes: NodeWorld) -> None:
    async with nodes.node() as node, nodes.client() as client:
        sessions = [await nodes.open(client) for _ in range(3)]
        for session in sessions:
            await session.connect()

        async def ask(number: int) -> str:
            answer = await sessions[number].ask(f"Tell of {number}.", max_tokens=40)
            return await answer.text()

        asking = [asyncio.create_task(ask(number)) for number in range(3)]
        async with asyncio.timeout(20):
            while node.engine.running < 3:
                await asyncio.sleep(0.005)
        assert all(await asyncio.gather(*asking))
        for session in sessions:
            await session.close()
