"""The limits of a real node, and what its clients hear of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from platformless.node.guard.blocklist import LOOK_SECONDS
from platformless.node.running import Node
from platformless.node.server import life
from tests.node.served import Served
from tests.node.served import served as served
from tests.node.wire import Frame, Wire, connected

from .clock import Clock

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 30.0


def refused(node: Node, reason: str) -> float:
    value = node.counted.registry.get_sample_value("platformless_refused_total", {"reason": reason})
    assert value is not None
    return value


async def closed(wire: Wire) -> tuple[list[Frame], int | None, str]:
    """What still came, and how the node closed the connection."""
    frames: list[Frame] = []
    async with asyncio.timeout(SECONDS):
        while True:
            message = await wire.socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return frames, wire.socket.close_code, str(message.extra or "")
            frames.append(json.loads(message.data))


async def infer(node: Node, session_id: int, **more: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=node.report.url, timeout=SECONDS) as http:
        body = {"prompt": "Say hello.", "max_tokens": 2, "session_id": session_id, **more}
        return await http.post("/v1/inference", json=body)


async def test_messages_over_the_rate_get_an_error_with_a_time(
    served: Served, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"frames_per_second_per_address": 0.01, "frames_burst_per_address": 3}
    async with served.other(tmp_path, **limits) as node, served.wire(node=node) as wire:
        for _ in range(3):
            assert (await wire.ask({"type": "ping"}))["type"] == "pong"
        told = await wire.ask({"type": "ping"})
        assert told["code"] == "RATE_LIMITED"
        assert 60 < told["retry_after"] <= 100
        assert "3 at once" in told["message"]
        assert refused(node, "frame_rate") == 1
        async with connected(node.report.url, served.nodes.host_key, wire.session_id) as other:
            assert (await other.ask({"type": "ping"}))["code"] == "RATE_LIMITED"


async def test_who_goes_on_is_closed(served: Served, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"frames_per_second_per_address": 0.01, "frames_burst_per_address": 1}
    async with served.other(tmp_path, **limits) as node, served.wire(node=node) as wire:
        for _ in range(40):
            await wire.send({"type": "ping"})
        frames, code, reason = await closed(wire)
        assert (code, reason) == (1008, "too many messages of one address")
        told = [frame.get("code", frame["type"]) for frame in frames]
        assert told[:22] == ["pong"] + ["RATE_LIMITED"] * 21
        assert len(node.sockets) == 0


async def test_a_wallet_has_one_rate_for_all_its_sessions_and_ways(
    served: Served, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"prompts_per_minute_per_wallet": 0.5, "prompts_burst_per_wallet": 2}
    async with served.other(tmp_path, **limits) as node:
        async with served.wire(node=node) as one, served.wire(node=node) as two:
            assert await one.answer(max_tokens=2)
            assert await two.answer(max_tokens=2)
            await one.send(one.prompt())
            told = await one.next("error")
            assert told["code"] == "RATE_LIMITED"
            assert 60 < told["retry_after"] <= 120
            assert (await one.next("stream_end"))["reason"] == "error"
        reply = await infer(node, await served.session())
        assert (reply.status_code, reply.json()["code"]) == (429, "GRD-202")
        assert 60 < int(reply.headers["Retry-After"]) <= 120
        streamed = await infer(node, await served.session(), stream=True)
        assert "RATE_LIMITED" in streamed.text
        assert refused(node, "wallet_rate") == 3


async def test_a_blocked_wallet_is_refused_at_its_init(served: Served, tmp_path: Path) -> None:
    blocklist = tmp_path / "blocklist"
    blocklist.write_text("# nobody yet\n")
    async with served.other(tmp_path / "node", blocklist_file=blocklist) as node:
        async with served.wire(node=node) as wire:
            assert await wire.answer(max_tokens=2)
            blocklist.write_text(str(served.nodes.world.address("client")))
            async with asyncio.timeout(SECONDS):
                while (await wire.begin())["type"] != "error":
                    await asyncio.sleep(LOOK_SECONDS / 4)
            assert (await wire.begin())["code"] == "WALLET_BLOCKED"
            await wire.send(wire.prompt())
            assert (await wire.next("error"))["code"] in ("WALLET_BLOCKED", "DECRYPTION_FAILED")
        reply = await infer(node, await served.session())
        assert (reply.status_code, reply.json()["code"]) == (403, "GRD-102")
        assert reply.json()["details"]["wire_code"] == "WALLET_BLOCKED"


async def test_an_address_that_is_blocked_later_loses_its_connection(
    served: Served, tmp_path: Path
) -> None:
    blocklist = tmp_path / "blocklist"
    blocklist.write_text("")
    async with served.other(tmp_path / "node", blocklist_file=blocklist) as node:
        async with served.wire(node=node) as wire:
            blocklist.write_text("127.0.0.0/8\n")
            async with asyncio.timeout(SECONDS):
                while (told := await wire.ask({"type": "ping"}))["type"] == "pong":
                    await asyncio.sleep(LOOK_SECONDS / 4)
            assert told["code"] == "ADDRESS_BLOCKED"
            assert (await closed(wire))[1] == 1008


async def test_every_way_takes_prompts_of_the_same_length(served: Served, tmp_path: Path) -> None:
    async with served.other(tmp_path, max_prompt_bytes=2048) as node:
        long, longest = "é" * 1025, "é" * 1024
        async with served.wire(node=node) as wire:
            assert (await wire.begin())["type"] == "session_init_ack"
            await wire.send(wire.prompt(long))
            assert (await wire.next("error"))["code"] == "PROMPT_TOO_LARGE"
            assert (await wire.next("stream_end"))["reason"] == "error"
            await wire.send(wire.prompt(longest, 1))
            told = await wire.next("error", "encrypted_chunk")
            assert told.get("code") in (None, "TOKEN_LIMIT_EXCEEDED"), "its length is no matter"
        async with served.wire(node=node) as clear:
            init = {"type": "session_init", "session_id": str(clear.session_id)}
            assert (await clear.ask(init))["type"] == "session_init_ack"
            for frame in (
                {"type": "prompt", "prompt": long},
                {"type": "prompt", "request": {"prompt": long}},
                {"type": "inference", "request": {"prompt": "Hi.", "stop": ["é" * 64] * 16}},
            ):
                await clear.send(frame)
                assert (await clear.next("error"))["code"] == "PROMPT_TOO_LARGE"
        context = [{"role": "user", "content": long}, {"role": "assistant", "content": "Yes."}]
        for more in ({"prompt": long}, {"conversation_context": context}):
            reply = await infer(node, await served.session(), **more)
            assert (reply.status_code, reply.json()["code"]) == (400, "GRD-301")
        huge = await infer(node, await served.session(), prompt="x" * (1 << 20))
        assert (huge.status_code, huge.json()["code"]) == (400, "NOD-802")
        assert refused(node, "prompt_too_large") == 6


async def test_a_talk_that_takes_too_much_memory_goes_on_in_another_session(
    served: Served, tmp_path: Path
) -> None:
    async with served.other(tmp_path, max_session_mib=0.01) as node:
        async with served.wire(node=node) as wire:
            assert (await wire.begin())["type"] == "session_init_ack"
            for _ in range(10):
                await wire.send(wire.prompt("Hello. " * 40, 1, new_context=True))
                told = await wire.next("error", "stream_end")
                if told["type"] == "error":
                    break
            assert told["code"] == "SESSION_TOO_LARGE"
            assert "open another" in told["message"]
            assert refused(node, "session_memory") == 1
            ended = await wire.ask({"type": "session_end"}, "session_ended")
            assert ended["tokens"] > 0
        async with served.wire(node=node) as another:
            assert await another.answer(max_tokens=1)


async def test_no_more_sessions_are_in_memory_than_there_is_room_for(
    served: Served, tmp_path: Path
) -> None:
    """Twice as many as connections: two."""
    async with served.other(
        tmp_path, None, max_connections=1, disconnect_grace_seconds=600
    ) as node:
        for expected in (200, 200, 503):
            reply = await infer(node, await served.session())
            assert reply.status_code == expected
        assert reply.json()["details"]["wire_code"] == "NODE_FULL"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of the lives of connections."""

    def timed(self: life.Life, idle: float, at_work: Any) -> None:
        made(self, idle, at_work)
        self._clock = clock
        self._made_at = self._said_at = clock()

    made, clock = life.Life.__init__, Clock()
    monkeypatch.setattr(life.Life, "__init__", timed)
    return clock


async def test_a_connection_without_life_is_closed_with_a_reason(
    served: Served, tmp_path: Path, clock: Clock
) -> None:
    async with served.other(tmp_path, idle_connection_seconds=1) as node:
        async with served.wire(node=node) as wire:
            await wire.begin()
            await wire.send(wire.prompt("Count.", 200))
            await wire.next("encrypted_chunk")
            clock.go(5)
            streamed = await wire.streamed()
            assert streamed.end["tokens_used"] > 0, "an answer is life, however long it takes"
            passing = asyncio.create_task(_pass(clock))
            assert (await closed(wire))[1:] == (1001, "nothing was said for 1 s")
            passing.cancel()
        assert refused(node, "idle") == 1


async def test_pings_are_no_life(served: Served, tmp_path: Path, clock: Clock) -> None:
    async with served.other(tmp_path, idle_connection_seconds=1) as node:
        async with served.wire(node=node) as wire:
            await wire.begin()
            pinging = asyncio.create_task(_ping(wire))
            passing = asyncio.create_task(_pass(clock))
            _, code, _ = await closed(wire)
            pinging.cancel()
            passing.cancel()
            assert code == 1001


async def _pass(clock: Clock) -> None:
    while True:
        await asyncio.sleep(0.05)
        clock.go(0.05)


async def _ping(wire: Wire) -> None:
    while not wire.socket.closed:
        await wire.send({"type": "ping"})
        await asyncio.sleep(0.05)


async def test_a_connection_that_begins_nothing_is_closed(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quick(self: life.Life, idle: float, at_work: Any, begin_seconds: float = 0.3) -> None:
        made(self, idle, at_work, begin_seconds)

    made = life.Life.__init__
    async with served.other(tmp_path) as node:
        with monkeypatch.context() as patched:
            patched.setattr(life.Life, "__init__", quick)
            async with served.wire(node=node) as wire:
                assert (await closed(wire))[1:] == (1008, "no session was begun within 0.3 s")
        async with served.wire(node=node) as other:
            assert await other.answer(max_tokens=2)


async def test_the_existing_clients_platform_hears_an_error(served: Served, tmp_path: Path) -> None:
    """Node.js's own WebSocket, as in browsers: it learns that it failed, and does not wait."""
    script = """
        const socket = new WebSocket(process.argv[1]);
        socket.onopen = () => console.log("open");
        socket.onerror = () => console.log("error");
        socket.onclose = (event) => console.log("close", event.code);
    """
    async with served.other(tmp_path, max_connections_per_address=1) as node:
        async with served.wire(node=node):
            url = node.report.url.replace("http", "ws") + "/v1/ws"
            process = await asyncio.create_subprocess_exec(
                "node",
                "--experimental-websocket",
                "-e",
                script,
                url,
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    assert output.startswith(b"error\n")
    assert b"open" not in output
