"""A client that speaks the wire as the existing TypeScript client does, and believes everything."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from platformless.protocol.envelope import Encrypted, open_message, seal_init, seal_message
from platformless.protocol.secrecy import PublicKeyBytes

SECONDS = 60.0
Frame = dict[str, Any]


@dataclass(frozen=True)
class Streamed:
    """An answer as its frames."""

    text: str
    chunks: list[Frame]
    finish: str
    end: Frame


@dataclass
class Wire:
    """One connection. `key` is the client's encryption key, not its wallet."""

    socket: aiohttp.ClientWebSocketResponse
    host_key: PublicKeyBytes
    session_id: int
    key: bytes
    model: str = "smollm2"
    session_key: bytes = bytes(32)
    messages: int = 0
    inits: list[Frame] = field(default_factory=list)

    async def send(self, frame: Frame | str | bytes) -> None:
        if isinstance(frame, bytes):
            await self.socket.send_bytes(frame)
        else:
            await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def next(self, *kinds: str) -> Frame:
        """The next frame, of one of these types if any are named; others are passed over."""
        async with asyncio.timeout(SECONDS):
            while True:
                frame: Frame = await self.socket.receive_json()
                if not kinds or frame["type"] in kinds:
                    return frame

    async def ask(self, frame: Frame | str | bytes, *kinds: str) -> Frame:
        await self.send(frame)
        return await self.next(*kinds)

    def init_frame(self, **inner: object) -> Frame:
        """A fresh init; `inner` changes what is encrypted."""
        self.session_key = secrets.token_bytes(32)
        self.messages = 0
        fields = {
            "jobId": str(self.session_id),
            "modelName": self.model,
            "sessionKey": self.session_key.hex(),
            "pricePerToken": 0,
            "recoveryPublicKey": str(PublicKeyBytes.of(self.key)),
            **inner,
        }
        init = seal_init(
            fields,
            self.host_key,
            self.key,
            ephemeral=secrets.token_bytes(32),
            nonce=secrets.token_bytes(24),
        )
        frame = {
            "type": "encrypted_session_init",
            "chain_id": 84532,
            "session_id": str(self.session_id),
            "job_id": str(self.session_id),
            "payload": init.to_json(),
        }
        self.inits.append(frame)
        return frame

    async def begin(self, **inner: object) -> Frame:
        return await self.ask(self.init_frame(**inner), "session_init_ack", "error")

    def message_frame(self, inner: Frame | str | bytes, **outer: object) -> Frame:
        text = inner if isinstance(inner, str | bytes) else json.dumps(inner)
        sealed = seal_message(
            text if isinstance(text, bytes) else text.encode(),
            self.session_key,
            nonce=secrets.token_bytes(24),
            associated=b"message_%d" % self.messages,
        )
        self.messages += 1
        return {
            "type": "encrypted_message",
            "session_id": str(self.session_id),
            "id": f"{self.messages}-{secrets.token_hex(4)}",
            "payload": sealed.to_json(),
            "web_search": False,
            "max_searches": 5,
            "search_queries": None,
            **outer,
        }

    def prompt(self, text: str = "Say hello.", max_tokens: int = 8, **more: object) -> Frame:
        inner = {
            "prompt": text,
            "model": self.model,
            "max_tokens": max_tokens,
            "temperature": 0.7,
            "stream": True,
            **more,
        }
        return self.message_frame(inner)

    def open(self, payload: Frame) -> bytes:
        encrypted = Encrypted(
            bytes.fromhex(payload["ciphertextHex"]),
            bytes.fromhex(payload["nonceHex"]),
            bytes.fromhex(payload["aadHex"]),
        )
        return open_message(encrypted, self.session_key)

    async def streamed(self) -> Streamed:
        """The frames of an answer, up to its `stream_end`."""
        chunks: list[Frame] = []
        text, finish = "", ""
        while True:
            frame = await self.next("encrypted_chunk", "encrypted_response", "stream_end", "error")
            if frame["type"] == "encrypted_chunk":
                chunks.append(frame)
                text += self.open(frame["payload"]).decode()
            elif frame["type"] == "encrypted_response":
                finish = self.open(frame["payload"]).decode()
            elif frame["type"] == "error":
                raise AssertionError(frame)
            else:
                return Streamed(text, chunks, finish, frame)

    async def answer(self, text: str = "Say hello.", max_tokens: int = 8, **more: object) -> str:
        """Begins anew, asks, and reads the answer: what the existing client does each time."""
        ack = await self.begin()
        assert ack["type"] == "session_init_ack", ack
        await self.send(self.prompt(text, max_tokens, **more))
        return (await self.streamed()).text


@asynccontextmanager
async def connected(
    url: str, host_key: PublicKeyBytes, session_id: int, key: bytes = b"\x21" * 32
) -> AsyncIterator[Wire]:
    """A connection that was greeted."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/v1/ws", max_msg_size=0) as socket,
    ):
        wire = Wire(socket, host_key, session_id, key)
        assert (await wire.next())["type"] == "connected"
        yield wire
