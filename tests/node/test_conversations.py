"""Paid conversations with the real model: encrypted, verified, acknowledged, kept."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from platformless.chain.devchain.accounts import dev_account
from platformless.client import ClientSession, HostRefused
from platformless.client.errors import ConnectionProblem
from platformless.client.requests import Sampling
from platformless.engine.request import GeneratedToken, GenerationRequest
from platformless.node.running import Node
from platformless.node.server.streams import EncryptedStream
from platformless.protocol.acknowledgement import Acknowledged
from platformless.protocol.digests import StateDigest
from platformless.protocol.flattened import flatten
from platformless.protocol.prompt import Prompt
from platformless.protocol.transcript import Kind, Sampler, State, Tokens
from platformless.protocol.update import TranscriptUpdate

from .served import Served
from .served import served as served

pytestmark = pytest.mark.asyncio(loop_scope="module")

GREEDY = Sampling(temperature=0.0)


async def test_a_conversation_is_streamed_verified_and_kept(served: Served) -> None:
    async with served.nodes.client() as client:
        session = await served.nodes.open(client)
        async with session:
            first = await session.ask("What is a lighthouse?", max_tokens=30)
            pieces = [piece async for piece in first]
            assert len(pieces) > 20
            assert "".join(pieces) == first.report.text
            assert first.report.tokens == 30
            second = await session.ask("And who keeps it?", max_tokens=30)
            assert await second.text()
            assert session.tokens == first.report.tokens + second.report.tokens
        kept = await served.node.ledger.session(session.id)
        assert kept is not None
        assert tuple(one.entry for one in kept.entries) == session.history
        assert [one.entry.kind for one in kept.entries] == [Kind.PROMPT, Kind.COMPLETION] * 2
        assert len(kept.acknowledgements) == 2


async def test_the_model_sees_what_was_said_before(served: Served) -> None:
    async with served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            await (await session.ask("My name is Ada.", max_tokens=12, sampling=GREEDY)).text()
            await (await session.ask("I am 36.", max_tokens=12, sampling=GREEDY)).text()
            answer = await session.ask("What is my name?", max_tokens=30, sampling=GREEDY)
            assert await answer.text()
            usage = answer.report.usage
            assert usage is not None
            assert usage.prompt_tokens == sum(len(one.tokens) for one in session.history[:5])
            prompts = [one for one in session.history if one.kind is Kind.PROMPT]
            assert [Prompt.read(one.text).continues for one in prompts] == [False, True, True]
        assert served.node.sessions.answering == 0


async def test_every_token_is_drawn_with_the_sessions_seed_at_its_place(served: Served) -> None:
    """Who has the model and the transcript, and decodes as the node did, draws the same again."""
    sampling = Sampling(temperature=1.0, top_k=50, top_p=0.9, min_p=0.02, repeat_penalty=1.1)
    async with served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            for question in ("Name a city.", "Name another."):
                await (await session.ask(question, max_tokens=25, sampling=sampling)).text()
            header = session.transcript.header
            assert header is not None
            context: tuple[int, ...] = ()
            drawn = 0
            for entry in session.history:
                if entry.kind is Kind.COMPLETION:
                    assert entry.sampler == Sampler(1.0, 50, 0.9, 0.02, 1.1, 64)
                    request = GenerationRequest(
                        prompt=context,
                        sampler=entry.sampler,
                        seed=header.seed,
                        max_tokens=25,
                        conversation="again",
                        first_position=drawn,
                    )
                    async with served.node.engine.generate(request) as again:
                        steps = [step async for step in again]
                    tokens = [one.token for one in steps if isinstance(one, GeneratedToken)]
                    assert tuple(tokens) == entry.tokens
                    drawn += len(tokens)
                context += entry.tokens


async def test_a_new_context_forgets(served: Served) -> None:
    async with served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            first = await session.ask("Count to five.", max_tokens=20, sampling=GREEDY)
            text = await first.text()
            await (await session.ask("And back.", max_tokens=20, sampling=GREEDY)).text()
            again = await session.ask(
                "Count to five.", max_tokens=20, sampling=GREEDY, new_context=True
            )
            assert await again.text() == text


async def test_however_a_prompt_is_told_the_client_verifies_what_became_of_it(
    served: Served,
) -> None:
    flat = flatten(
        [("system", "Be brief."), ("user", "Hi."), ("assistant", "Hello."), ("user", "?")]
    )
    lines = "User: Name a tree.\nAssistant: Oak.\nUser: Another.\nAssistant:"
    hot = Sampling(temperature=1.2, top_k=5, top_p=0.5, min_p=0.2, repeat_penalty=1.3)
    async with served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            for prompt, sampling, new_context in (
                (flat, None, False),
                ("And now?", hot, False),
                (lines, Sampling(repeat_penalty=1.0), False),
                (lines, GREEDY, True),
                ("Go on.", Sampling(temperature=0.0, repeat_penalty=1.1), False),
            ):
                answer = await session.ask(
                    prompt, max_tokens=8, sampling=sampling, new_context=new_context
                )
                assert await answer.text()
            told = "".join(
                f"User: {one.question()}\nAssistant: {one.text}\n" for one in session.turns[-2:]
            )
            answer = await session.ask(f"{told}User: Why?\nAssistant:", max_tokens=8)
            assert await answer.text()
            prompts = [Prompt.read(one.prompt.text) for one in session.turns]
            assert [one.continues for one in prompts] == [False, True, False, False, True, True]


async def test_greedy_answers_are_the_same_in_every_session(served: Served) -> None:
    texts = []
    async with served.nodes.client() as client:
        for _ in range(2):
            async with await served.nodes.open(client) as session:
                answer = await session.ask("Name three trees.", max_tokens=25, sampling=GREEDY)
                texts.append(await answer.text())
    assert texts[0] == texts[1]


async def test_an_answer_stops_at_a_stop_string(served: Served) -> None:
    async with served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
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


async def test_a_cancelled_answer_counts_what_was_sent(served: Served) -> None:
    async with served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
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


async def silent(node: Node) -> None:
    async with asyncio.timeout(60):
        while node.sessions.answering:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_conversation_goes_on_after_its_connection_broke(
    served: Served, monkeypatch: pytest.MonkeyPatch, abruptly: bool
) -> None:
    sent, piece = 0, EncryptedStream.piece

    async def counted(stream: EncryptedStream, text: str, tokens: int) -> None:
        nonlocal sent
        await piece(stream, text, tokens)
        sent += tokens

    monkeypatch.setattr(EncryptedStream, "piece", counted)
    async with served.nodes.client() as client:
        session = await served.nodes.open(client)
        await session.connect()
        answer = await session.ask("Write a long story.", max_tokens=300)
        pieces = aiter(answer)
        received = "".join([await anext(pieces) for _ in range(20)])
        if abruptly:
            cut_off(session)
            with pytest.raises(ConnectionProblem):
                await answer.text()
            received = answer.received
        await session.close()  # in mid-answer
        await silent(served.node)
        kept = await served.node.ledger.session(session.id)
        assert kept is not None
        assert sum(one.entry.billed for one in kept.entries) == sent
        assert kept.streamed == ()
        session = await client.resume(session.id)
        async with session:
            assert await (await session.ask("Go on.", max_tokens=10, sampling=GREEDY)).text()
            broken = session.turns[0]
            assert broken.text.startswith(received)
            assert 20 <= broken.tokens < 300


def cut_off(session: ClientSession) -> None:
    """Ends the connection without a word."""
    assert session._channel is not None
    plug = session._channel._connection._socket.get_extra_info("socket")
    plug.shutdown(socket.SHUT_RDWR)


async def test_a_conversation_that_fills_the_context_is_told_so(served: Served) -> None:
    async with served.nodes.client() as client:
        async with await served.nodes.open(client) as session:
            await (await session.ask("Hello.", max_tokens=5)).text()
            with pytest.raises(HostRefused) as refused:
                await (await session.ask("word " * 1500)).text()
            assert refused.value.wire_code == "TOKEN_LIMIT_EXCEEDED"
            assert await (await session.ask("Hello?", max_tokens=5)).text()
        async with served.wire() as wire:
            await wire.begin()
            refusal = await wire.ask(wire.prompt("word " * 1500), "error")
            assert refusal["context_window_size"] == 1024
            assert 1500 < refusal["prompt_tokens"] < 1600
            assert (await wire.next("stream_end"))["reason"] == "error"


async def test_an_ended_session_takes_no_more_prompts(served: Served) -> None:
    async with served.wire() as wire:
        assert await wire.answer()
        ended = await wire.ask({"type": "session_end"}, "session_ended", "error")
        assert ended["type"] == "session_ended"
        assert ended["tokens"] == ended["unclaimed"] > 0
        refused = await wire.ask(wire.prompt(), "error")
        assert refused["code"] == "SESSION_KEY_NOT_FOUND"
        assert (await wire.begin())["code"] == "SESSION_ENDED"


async def test_only_the_clients_own_word_about_what_was_is_kept(served: Served) -> None:
    network = served.nodes.world.network
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.prompt())
        end = (await wire.streamed()).end
        update = TranscriptUpdate.decode(wire.open(end["sealed_transcript"]))

        async def acknowledge(
            name: str, tokens: int = update.tokens, state: StateDigest = update.state
        ) -> dict[str, Any]:
            what = Acknowledged(
                network.chain_id,
                network.marketplace,
                wire.session_id,
                Tokens(tokens),
                state,
            )
            signature = what.sign(bytes(dev_account(name).key))
            frame = {
                "type": "acknowledge",
                "tokens": tokens,
                "state": str(state),
                "signature": str(signature),
            }
            return await wire.ask(frame, "acknowledged", "error")

        before = State.initial(update.header)
        for refused in (
            await acknowledge("host"),
            await acknowledge("client", update.tokens + 1),
            await acknowledge("client", update.tokens - 1),
            await acknowledge("client", 0, before.digest),
            await acknowledge("client", 0, before.append(update.header, update.entries[0]).digest),
        ):
            assert refused["code"] == "ACKNOWLEDGEMENT_REFUSED"
        assert await served.node.ledger.acknowledgement(wire.session_id, update.state) is None
        for _ in range(2):  # saying it again changes nothing
            assert (await acknowledge("client"))["type"] == "acknowledged"
        assert await served.node.ledger.acknowledgement(wire.session_id, update.state) is not None


async def test_several_sessions_stream_at_once(served: Served) -> None:
    async with served.nodes.client() as client:
        sessions = [await served.nodes.open(client) for _ in range(3)]
        for session in sessions:
            await session.connect()

        async def ask(number: int) -> str:
            answer = await sessions[number].ask(f"Tell of {number}.", max_tokens=40)
            return await answer.text()

        asking = [asyncio.create_task(ask(number)) for number in range(3)]
        async with asyncio.timeout(60):
            while served.node.engine.running < 3:
                await asyncio.sleep(0.005)
        assert all(await asyncio.gather(*asking))
        for session in sessions:
            await session.close()
