"""Many clients at once, and clients that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from platformless.client import ClientSession
from platformless.client.requests import Sampling
from platformless.engine.generation import Generation
from platformless.node import running
from platformless.node.running import Node

from .slow import slowly_connected
from .wire import Wire, connected
from .world import NodeWorld

SOCKETS = 200
STREAMING = 8
IDLE_SESSIONS = 4
LONG = "Write a long story about the sea."
TOKENS = 60
"""More than the engine makes unread: an answer does not end before its reader has had his turn."""
SMALL_BUFFER = 4 << 10
PINGS = 20_000
SECONDS = 60.0
GREEDY = Sampling(temperature=0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def generation_of(node: Node, session_id: int) -> Generation | None:
    session = node.sessions._live.get(session_id)
    return None if session is None else session._generation


def is_paused(node: Node, session_id: int) -> bool:
    generation = generation_of(node, session_id)
    return generation is not None and generation.paused_since is not None


async def ping(wire: Wire) -> None:
    assert (await wire.ask({"type": "ping"}, "pong"))["type"] == "pong"


async def test_eight_stream_while_two_hundred_sockets_are_open(nodes: NodeWorld) -> None:
    async with (
        nodes.node(engine_threads=1) as node,
        nodes.client() as client,
        AsyncExitStack() as stack,
    ):
        idle_sessions = [await nodes.open(client) for _ in range(IDLE_SESSIONS)]
        idle = []
        for number in range(SOCKETS - STREAMING):
            session_id = idle_sessions[number % IDLE_SESSIONS].id
            wire = await stack.enter_async_context(nodes.wire(node, session_id))
            assert (await wire.begin())["type"] == "session_init_ack"
            idle.append(wire)
        streaming = [
            await stack.enter_async_context(await nodes.open(client)) for _ in range(STREAMING)
        ]
        assert len(node.sockets) == SOCKETS

        async def ask(session: ClientSession) -> None:
            answer = await session.ask(LONG, max_tokens=TOKENS, sampling=GREEDY)
            assert await answer.text()
            assert answer.report.tokens == TOKENS
            assert session.tokens == TOKENS

        rounds = 0
        answers = asyncio.gather(*(ask(session) for session in streaming))
        await until(lambda: node.engine.running == STREAMING)
        while not answers.done():
            await asyncio.gather(*(ping(wire) for wire in idle))
            rounds += node.engine.running == STREAMING
        await answers
        assert rounds > 0, "pings were answered only after the streams"
        assert len({session.turns[0].text for session in streaming}) == 1


async def test_who_waits_for_a_sequence_hears_his_place(nodes: NodeWorld) -> None:
    async with (
        nodes.node(engine_sequences=1, engine_threads=1) as node,
        nodes.client() as client,
        AsyncExitStack() as stack,
    ):
        wires = []
        for _ in range(4):
            session = await nodes.open(client)
            wires.append(await stack.enter_async_context(nodes.wire(node, session.id)))
            await wires[-1].begin()
        places: list[list[int]] = []
        for wire in wires:
            await wire.send(wire.prompt(LONG, TOKENS, temperature=0))
            frame = await wire.next("encrypted_chunk", "queue_position")
            places.append([frame["position"]] if frame["type"] == "queue_position" else [])
        assert places == [[], [1], [2], [3]]
        for wire, heard in zip(wires, places, strict=True):
            while (frame := await wire.next("queue_position", "stream_end"))["type"] != (
                "stream_end"
            ):
                heard.append(frame["position"])
            assert frame["tokens_used"] == TOKENS
        assert places == [[], [1], [2, 1], [3, 2, 1]]


async def test_a_client_that_stops_reading_loses_nothing_and_stops_nobody(
    nodes: NodeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_SEND_BUFFER_BYTES", SMALL_BUFFER)
    tokens = 200
    async with nodes.node(engine_threads=1) as node, nodes.client() as client:
        lazy, busy = await nodes.open(client), await nodes.open(client)
        async with slowly_connected(node.report.url, nodes.host_key, lazy.id) as (wire, slow):
            await wire.begin()
            await wire.send(wire.prompt(LONG, tokens, temperature=0))
            await until(lambda: is_paused(node, lazy.id))
            generation = generation_of(node, lazy.id)
            assert generation is not None
            unread = len(generation._steps)
            assert unread <= node.engine.settings.unread_tokens
            await slow.flood(PINGS)
            async with busy:
                answer = await busy.ask(LONG, max_tokens=40, sampling=GREEDY)
                await answer.text()
                assert answer.report.tokens == 40
            assert is_paused(node, lazy.id)
            assert len(generation._steps) == unread
            told = await wire.streamed()
        assert [chunk["payload"]["index"] for chunk in told.chunks] == list(range(len(told.chunks)))
        assert told.end["tokens_used"] == sum(chunk["tokens"] for chunk in told.chunks) == tokens
        assert told.end["reason"] == "complete"
        assert told.text.startswith(answer.report.text)
        assert slow.pongs < PINGS // 10


async def test_a_client_that_never_reads_again_is_cut_off(
    nodes: NodeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays connected: only its silence tells."""
    monkeypatch.setattr(running, "_SEND_BUFFER_BYTES", SMALL_BUFFER)
    monkeypatch.setattr(running, "_PING_SECONDS", 2.0)
    monkeypatch.setattr(running, "_PONG_SECONDS", 1.5)
    tokens = 900
    async with nodes.node(engine_sequences=1, engine_threads=1) as node, nodes.client() as client:
        lazy, busy = await nodes.open(client), await nodes.open(client)
        async with slowly_connected(node.report.url, nodes.host_key, lazy.id) as (wire, _):
            await wire.begin()
            await wire.send(wire.prompt(LONG, tokens, temperature=0))
            await until(lambda: generation_of(node, lazy.id) is not None)
            async with busy, asyncio.timeout(SECONDS):
                answer = await busy.ask(LONG, max_tokens=10, sampling=GREEDY)
                assert await answer.text()
                assert answer.queue_position == 1
            await until(lambda: len(node.sockets) == 0)
        await until(lambda: node.engine.running == 0)
        kept = await node.ledger.session(lazy.id)
        assert kept is not None
        assert 0 < kept.entries[-1].entry.billed < tokens


async def test_a_client_that_vanishes_gives_its_sequence_back(nodes: NodeWorld) -> None:
    async with nodes.node(engine_sequences=1, engine_threads=1) as node, nodes.client() as client:
        gone, next_one = await nodes.open(client), await nodes.open(client)
        async with slowly_connected(node.report.url, nodes.host_key, gone.id) as (wire, _):
            await wire.begin()
            await wire.send(wire.prompt(LONG, 900, temperature=0))
            await wire.next("encrypted_chunk")
        async with next_one:
            answer = await next_one.ask(LONG, max_tokens=10, sampling=GREEDY)
            assert await answer.text()
        kept = await node.ledger.session(gone.id)
        assert kept is not None
        assert 0 < kept.entries[-1].entry.billed < 900


async def test_more_sockets_than_allowed_are_told_so(nodes: NodeWorld) -> None:
    async with nodes.node(max_connections=2) as node, AsyncExitStack() as stack:
        session_id = await nodes.world.open_session()
        one, two = [await stack.enter_async_context(nodes.wire(node, session_id)) for _ in range(2)]
        with pytest.raises(AssertionError):
            async with connected(node.report.url, nodes.host_key, session_id):
                pass
        await ping(one)
        await ping(two)
        await two.socket.close()
        await until(lambda: len(node.sockets) == 1)
        three = await stack.enter_async_context(nodes.wire(node, session_id))
        await ping(three)
