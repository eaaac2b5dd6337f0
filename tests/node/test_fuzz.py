"""Frames that are almost right, in any order, against one running node: whatever comes, it answers,
never fails, and goes on serving."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from .served import Served
from .served import served as served
from .wire import Frame, Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 1),
    st.sampled_from([2**31, 2**63, 2**64, 10**40, -(2**63) - 1, 0.5, 1e308, 5e-324]),
    st.text(max_size=5),
    st.sampled_from(
        ["0x", "zz", "00" * 24, "0" * 65, "7", "-1", "1n", "\ud7ff", "a/b:c", "[" * 99]
    ),
    st.just([]),
    st.just({}),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2), max_leaves=5),
)


@dataclass(frozen=True)
class Change:
    """What is wrong with a value: `at` chooses the place in it."""

    kind: str
    at: int
    value: Any

    def __call__(self, frame: Frame) -> Frame:
        frame = copy.deepcopy(frame)
        places = list(_places(frame))
        if not places:
            return frame
        parent, name = places[self.at % len(places)]
        if self.kind == "drop":
            del parent[name]
        elif self.kind == "retype":
            parent[name] = self.value
        elif isinstance(parent[name], str) and parent[name]:
            text, at = parent[name], self.at % len(parent[name])
            parent[name] = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
        return frame


def _places(value: Frame) -> Iterator[tuple[Frame, str]]:
    for name, inner in value.items():
        yield value, name
        if isinstance(inner, dict):
            yield from _places(inner)


@dataclass(frozen=True)
class Step:
    """One frame: of a kind, perhaps changed outside, or inside of what is encrypted."""

    kind: str
    outside: tuple[Change, ...]
    inside: tuple[Change, ...]
    raw: str | bytes


CHANGES = st.builds(
    Change, st.sampled_from(["drop", "retype", "flip"]), st.integers(0, 2000), VALUES
)
KINDS = [
    *("prompt", "init", "clear_prompt", "prompt", "init", "clear_init", "inference", "again"),
    *("cancel", "acknowledge", "action", "raw", "ping", "vectors", "end"),
]
CLEAN = st.builds(Step, st.sampled_from(KINDS), st.just(()), st.just(()), st.just(""))
BROKEN = st.builds(
    Step,
    st.sampled_from(KINDS),
    st.lists(CHANGES, min_size=1, max_size=2).map(tuple) | st.just(()),
    st.lists(CHANGES, max_size=2).map(tuple),
    st.text(max_size=20) | st.binary(max_size=20),
)
BEGINNINGS = st.sampled_from(["init", "clear_init", "ping"]).map(
    lambda kind: Step(kind, (), (), "")
)
STEPS = st.tuples(BEGINNINGS, st.lists(CLEAN | BROKEN, min_size=2, max_size=10)).map(
    lambda drawn: [drawn[0], *drawn[1]]
)


@dataclass
class Fuzzed:
    """The node, what it logged as its own fault, and the sessions that are fuzzed."""

    served: Served
    faults: list[str]
    encrypted: int = 0
    clear: int = 0
    token: str | None = None

    async def renew(self) -> None:
        """New sessions in place of those that were ended."""
        self.encrypted, self.clear = await self.served.session(), await self.served.session()
        self.token = None


class _Faults(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fuzzed(served: Served) -> AsyncIterator[Fuzzed]:
    faults = _Faults()
    logging.getLogger().addHandler(faults)
    try:
        fuzzed = Fuzzed(served, faults.found)
        await fuzzed.renew()
        yield fuzzed
    finally:
        logging.getLogger().removeHandler(faults)


def frame_of(step: Step, wire: Wire, fuzzed: Fuzzed, sent: list[Any]) -> Any:
    """What is sent for a step."""
    if step.kind == "raw":
        return step.raw
    if step.kind == "again":
        return sent[len(step.raw) % len(sent)] if sent else "{}"
    request: Frame = {"prompt": "Hi.", "max_tokens": 2, "new_context": True, "model": "m"}
    for change in step.inside:
        request = change(request)
    clear = {"session_id": str(fuzzed.clear), "session_token": fuzzed.token}
    built: Frame
    match step.kind:
        case "init":
            built = wire.init_frame(**(request if step.inside else {}))
        case "prompt":
            built = wire.message_frame(request)
        case "action":
            built = wire.message_frame({"action": "transcode", **request})
        case "clear_init":
            built = {"type": "session_init", "id": "i", **clear}
        case "clear_prompt":
            built = {"type": "prompt", "id": "p", "request": request}
        case "inference":
            built = {"type": "inference", "id": 7, "request": request}
        case "acknowledge":
            zeros = {"state": "00" * 32, "signature": "00" * 65}
            built = {"type": "acknowledge", "tokens": 0, **zeros}
        case "vectors":
            built = {"type": "uploadVectors", "requestId": "r", "vectors": []}
        case "cancel":
            built = {"type": "stream_cancel", "session_id": str(fuzzed.clear)}
        case "end":
            built = {"type": "session_end", "session_id": str(fuzzed.clear)}
        case _:
            built = {"type": "ping", "id": "x"}
    for change in step.outside:
        built = change(built)
    sent.append(built)
    return built


async def replies(wire: Wire, until: str) -> AsyncIterator[Frame]:
    """Replies up to the pong with this id."""
    while True:
        reply = await wire.next()
        assert reply.get("code") != "INTERNAL_ERROR", reply
        if (reply["type"], reply.get("id")) == ("pong", until):
            return
        event(f"{reply['type']} {reply.get('code') or reply.get('reason') or ''}")
        yield reply


async def settled(served: Served, wire: Wire) -> None:
    """Lets answers end; long ones are cancelled."""
    sessions = served.node.sessions
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            while sessions.answering:
                await asyncio.sleep(0.005)
    if sessions.answering:
        await wire.send({"type": "stream_cancel"})


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
@given(steps=STEPS, patient=st.booleans())
async def test_whatever_is_sent_is_answered(
    fuzzed: Fuzzed, steps: list[Step], patient: bool
) -> None:
    """Patient: every frame is answered before the next is sent."""
    ended = False
    async with fuzzed.served.wire(fuzzed.encrypted) as wire:
        sent: list[Any] = []
        for number, step in enumerate(steps):
            await wire.send(frame_of(step, wire, fuzzed, sent))
            if patient:
                await settled(fuzzed.served, wire)
            if patient or number == len(steps) - 1:
                await wire.send({"type": "ping", "id": f"end {number}"})
                async for reply in replies(wire, f"end {number}"):
                    fuzzed.token = reply.get("session_token", fuzzed.token)
                    ended = ended or reply["type"] == "session_ended"
    if ended:
        await fuzzed.renew()
    assert fuzzed.faults == []


async def test_the_node_is_as_good_as_new(fuzzed: Fuzzed) -> None:
    node = fuzzed.served.node
    async with asyncio.timeout(60):
        while node.sessions.answering:
            await asyncio.sleep(0.01)
    async with fuzzed.served.wire() as wire:
        assert await wire.answer()
    async with httpx.AsyncClient(base_url=node.report.url) as http:
        assert json.loads((await http.get("/v1/health")).text)["status"] == "healthy"
    assert fuzzed.faults == []
