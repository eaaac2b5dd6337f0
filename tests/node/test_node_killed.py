"""A node that is killed in the middle of answers: what was kept is there, what was not is not
billed, and the conversation goes on."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from platformless.client import ClientSession
from platformless.client.errors import ConnectionProblem
from platformless.client.receiving import SealedAnswer
from platformless.client.requests import Sampling
from platformless.node.sessions.keeping import LOSS_TOKENS
from platformless.protocol.replies import EncryptedChunk
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.values import KeptSession

from .node_process import processes, run_node
from .world import NodeWorld

KILLS = 6
QUESTION = "Write a very long story about the sea, with many chapters."


@asynccontextmanager
async def node_process(nodes: NodeWorld) -> AsyncIterator[BaseProcess]:
    """A node whose address is in the registry; killed at the end."""
    address, its_end = processes.Pipe(duplex=False)
    environment = nodes.environment(engine_threads=1)
    process = processes.Process(target=run_node, args=(environment, its_end))
    process.start()
    its_end.close()
    try:
        url = await asyncio.to_thread(_received, address)
        await nodes.announce(url)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.join)


def _received(address: Connection) -> str:
    assert address.poll(30), "the node did not start"
    return str(address.recv())


async def kept(nodes: NodeWorld, session_id: int) -> KeptSession:
    """What a dead node has left."""
    async with await Ledger.open(await nodes.ledger_settings()) as ledger:
        found = await ledger.session(session_id)
    assert found is not None
    return found


def billed(found: KeptSession) -> int:
    entries = sum(one.entry.billed for one in found.entries)
    return entries + sum(len(part.tokens) for part in found.streamed)


class Counter:
    """Counts the tokens of all chunks that clients received."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tokens = 0
        opened = SealedAnswer.chunk

        def chunk(answer: SealedAnswer, frame: EncryptedChunk) -> str:
            text = opened(answer, frame)
            self.tokens += frame.tokens
            return text

        monkeypatch.setattr(SealedAnswer, "chunk", chunk)


async def stream_until_killed(session: ClientSession, process: BaseProcess, pieces: int) -> None:
    """Kills the node after so many pieces, and reads what is still on its way. A few answers end
    before."""
    answer = await session.ask(QUESTION, max_tokens=400, sampling=Sampling(temperature=0.8))
    received = 0
    with contextlib.suppress(ConnectionProblem):
        async for _ in answer:
            received += 1
            if received == pieces:
                process.kill()


async def test_a_killed_node_loses_little_and_bills_nothing_that_it_lost(
    nodes: NodeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    counter, lost = Counter(monkeypatch), 0
    async with nodes.client() as client:
        session_id = 0
        for _ in range(KILLS):
            async with node_process(nodes) as process:
                session = (
                    await client.resume(session_id) if session_id else await nodes.open(client)
                )
                session_id = session.id
                await session.connect()
                await stream_until_killed(session, process, chance.randint(1, 70))
                await session.close()
            lost_now = counter.tokens - lost - billed(await kept(nodes, session_id))
            assert 0 <= lost_now <= LOSS_TOKENS
            lost += lost_now
        async with node_process(nodes):
            session = await client.resume(session_id)
            async with session:
                await (await session.ask("Go on.", max_tokens=20)).text()
                assert session.tokens == counter.tokens - lost
                assert session.distrust is None
        found = await kept(nodes, session_id)
        assert billed(found) == session.tokens
        assert tuple(one.entry for one in found.entries) == session.history
