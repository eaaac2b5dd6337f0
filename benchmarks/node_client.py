"""Clients of a node in a process of their own, for `benchmarks.node`.

    python -m benchmarks.node_client FOLDER < requests > replies

The first line is the environment that describes the chain; each further line asks for one thing
and gets one line of JSON. Connections are bare WebSockets: frames are decoded and decrypted when
they come, so that every token has its time; transcripts are only looked at once an answer is over.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from platformless.chain.devchain.accounts import dev_account
from platformless.chain.networks import network_from
from platformless.client import Client, ClientSession, ClientSettings
from platformless.client.receiving import SealedAnswer
from platformless.client.requests import Question, Sampling, init_frame, message_frame
from platformless.client.web import websocket_url
from platformless.protocol import replies
from platformless.protocol.digests import ModelId
from platformless.protocol.replies import AnyReply, EncryptedChunk, ErrorReply, StreamEnd
from platformless.protocol.secrecy import KEY_BYTES, NONCE_BYTES
from platformless.protocol.transcript import Tokens
from tests.chain.world import AT_ONCE

from .lines import LineProcess

GREEDY = Sampling(temperature=0)


@dataclass(frozen=True)
class Told:
    """An answer: its tokens by the transcript, and when the client had read each, in seconds of
    the monotonic clock."""

    asked: float
    times: list[float]
    tokens: list[int]


class Connection:
    """A session that was begun on a WebSocket of its own."""

    def __init__(
        self, session: ClientSession, socket: aiohttp.ClientWebSocketResponse[bool]
    ) -> None:
        self._session = session
        self._socket = socket
        self._key = os.urandom(KEY_BYTES)
        self._messages = 0

    async def begin(self) -> None:
        await self._receive()
        session = self._session
        frame = init_frame(
            session.agreed,
            session.wallet,
            session.saved().host_key,
            session_key=self._key,
            ephemeral=os.urandom(KEY_BYTES),
            nonce=os.urandom(NONCE_BYTES),
            proof=None,
            name="init",
        )
        await self._socket.send_json(frame)
        await self._receive()

    async def ask(self, prompt: str, tokens: int) -> Told:
        question = Question(prompt, tokens, GREEDY)
        plaintext = question.plaintext(self._session.agreed.model_id, None, 0)
        frame = message_frame(
            self._session.agreed,
            plaintext,
            self._key,
            nonce=os.urandom(NONCE_BYTES),
            number=self._messages,
            name="ask",
        )
        self._messages += 1
        sealed = SealedAnswer(self._key)
        times: list[float] = []
        asked = time.perf_counter()
        await self._socket.send_json(frame)
        while True:
            reply = await self._receive()
            if isinstance(reply, EncryptedChunk):
                sealed.chunk(reply)
                times += [time.perf_counter()] * reply.tokens
            elif isinstance(reply, StreamEnd):
                if reply.sealed_transcript is None:
                    raise RuntimeError(f"an answer ended without its transcript: {reply}")
                update = sealed.update(reply.sealed_transcript)
                return Told(asked, times, list(update.entries[-1].tokens))

    async def close(self) -> None:
        await self._socket.close()

    async def _receive(self) -> AnyReply:
        reply = replies.decode((await self._socket.receive()).data)
        if reply is None or isinstance(reply, ErrorReply):
            raise RuntimeError(f"the node answers {reply}")
        return reply


class Clients:
    """All clients; one wallet."""

    def __init__(self, client: Client, http: aiohttp.ClientSession, model_id: ModelId) -> None:
        self._client = client
        self._http = http
        self._model_id = model_id
        self._fresh: list[Connection] = []
        self._used: list[Connection] = []

    async def open(self, count: int) -> int:
        """Opens sessions on chain and begins each on a connection of its own."""
        deposit = self._client.settings.network.usdc.amount("0.5")
        for _ in range(count):
            session = await self._client.open(self._model_id, deposit, proof_interval=Tokens(100))
            socket = await self._http.ws_connect(websocket_url(session.api_url), max_msg_size=0)
            connection = Connection(session, socket)
            await connection.begin()
            self._fresh.append(connection)
        return len(self._used) + len(self._fresh)

    async def ask(self, prompts: list[str], tokens: int) -> list[dict[str, Any]]:
        """Asks sessions that nothing was asked in yet, all at once."""
        asked = [self._fresh.pop() for _ in prompts]
        self._used += asked
        told = await asyncio.gather(
            *(one.ask(prompt, tokens) for one, prompt in zip(asked, prompts, strict=True))
        )
        return [asdict(one) for one in told]

    async def close(self) -> int:
        """Closes all connections."""
        connections = self._used + self._fresh
        self._used, self._fresh = [], []
        for connection in connections:
            await connection.close()
        return len(connections)


@asynccontextmanager
async def clients(environment: dict[str, str], folder: Path) -> AsyncIterator[Clients]:
    network = network_from(environment)
    settings = ClientSettings(
        network=network,
        private_key=bytes(dev_account("client").key),
        folder=folder,
        sending=AT_ONCE,
    )
    connector = aiohttp.TCPConnector(limit=0)
    async with Client(settings) as client, aiohttp.ClientSession(connector=connector) as http:
        yield Clients(client, http, ModelId.from_hex(environment["MODEL_ID"]))


async def serve(folder: Path) -> None:
    environment = json.loads(await asyncio.to_thread(sys.stdin.readline))
    async with clients(environment, folder) as all_clients:
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            method = getattr(all_clients, request.pop("what"))
            print(json.dumps(await method(**request)), flush=True)


class ClientProcess(LineProcess):
    """The process, and what it can be asked for."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        super().__init__("benchmarks.node_client", str(folder), first=environment)

    def open(self, count: int) -> None:
        self.request(what="open", count=count)

    def ask(self, prompts: list[str], tokens: int) -> list[Told]:
        told = self.request(what="ask", prompts=prompts, tokens=tokens)
        return [Told(**one) for one in told]

    def close_all(self) -> None:
        self.request(what="close")


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
