"""Answers over HTTP: `POST /v1/inference`, in one piece or as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from platformless.protocol.transcript import State
from platformless.protocol.update import TranscriptUpdate

from .served import Served
from .served import served as served
from .test_strangers import wallet_proof

pytestmark = pytest.mark.asyncio(loop_scope="module")

Body = dict[str, Any]


@asynccontextmanager
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.url, timeout=30) as client:
        yield client


async def post(served: Served, token: str | None = None, **body: object) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with http(served) as client:
        return await client.post("/v1/inference", json=body, headers=headers)


def asking(session_id: int, **more: object) -> Body:
    return {"prompt": "Say hello.", "max_tokens": 5, "session_id": session_id, **more}


async def events(response: httpx.Response) -> list[tuple[str, str]]:
    """Names and data of all events."""
    found, name = [], "message"
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((name, line.removeprefix("data: ")))
            name = "message"
        else:
            assert line == ""
    return found


def texts(update: Body) -> list[str]:
    return [entry["text"] for entry in update["entries"]]


async def test_an_answer_in_one_piece(served: Served) -> None:
    session_id = await served.session()
    body = asking(session_id, model="tiny-vicuna", request_id="r-1", temperature=0.7)
    reply = await post(served, **body)
    assert reply.status_code == 200
    told = reply.json()
    assert told["content"]
    assert (told["model"], told["request_id"]) == ("tiny-vicuna", "r-1")
    assert (told["session_id"], told["chain_id"]) == (str(session_id), 84532)
    assert (told["reason"], told["finish_reason"] in ("stop", "length")) == ("complete", True)
    assert 0 < told["tokens_used"] == told["usage"]["completion_tokens"] <= 5
    assert told["usage"]["context_window_size"] == 1024
    assert texts(told["transcript"])[-1] == told["content"]
    kept = await served.node.ledger.session(session_id)
    assert kept is not None
    assert kept.entries[-1].entry.text == told["content"]


async def test_the_transcript_adds_up_over_several_requests(served: Served) -> None:
    session_id = await served.session()
    token, state = None, None
    for question in ("Name a colour.", "Name another."):
        told = (await post(served, token, **asking(session_id, prompt=question))).json()
        token = told["session_token"]
        document = json.dumps(told["transcript"]).encode()
        update = TranscriptUpdate.decode(document)
        state = update.follow(state or State.initial(update.header))
    assert state is not None
    assert state.entries == 4


@pytest.mark.parametrize("name", ["session_id", "sessionId", "job_id", "jobId"])
async def test_ids_come_in_every_spelling(served: Served, name: str) -> None:
    session_id = await served.session()
    body = asking(session_id)
    del body["session_id"]
    reply = await post(served, **{**body, name: f"{session_id}n"})
    assert reply.json()["session_id"] == str(session_id)
    token = reply.json()["session_token"]
    assert (await post(served, token, **{**body, name: session_id})).status_code == 200
    for value in ("seven", "", "n", -1):
        reply = await post(served, token, **{**body, name: value})
        assert (reply.status_code, reply.json()["error_type"]) == (400, "invalid_request")


async def test_an_answer_as_events(served: Served) -> None:
    session_id = await served.session()
    body = asking(session_id, prompt="Count to twenty.", max_tokens=12, stream=True)
    async with http(served) as client:
        async with client.stream("POST", "/v1/inference", json=body) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            *pieces, final, done = await events(response)
    assert done == ("message", "[DONE]")
    read = [json.loads(data) for _, data in pieces]
    text = "".join(piece["content"] for piece in read)
    told = json.loads(final[1])
    assert len(read) > 1
    assert sum(piece["tokens"] for piece in read) == told["tokens_used"] <= 12
    assert texts(told["transcript"])[-1] == text
    assert (told["reason"], "content" in told) == ("complete", False)
    again = await post(served, told["session_token"], **asking(session_id))
    assert again.status_code == 200


async def test_a_client_that_goes_away_in_mid_stream_pays_for_no_more(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = await served.session()
    body = asking(session_id, prompt="Write a long story.", max_tokens=600, stream=True)
    async with http(served) as client:
        async with client.stream("POST", "/v1/inference", json=body) as response:
            lines = response.aiter_lines()
            for _ in range(6):
                await anext(lines)
    await silent(served)
    kept = await served.node.ledger.session(session_id)
    assert kept is not None
    assert [one.entry.kind.name for one in kept.entries] == ["PROMPT", "COMPLETION"]
    assert 0 < len(kept.entries[-1].entry.tokens) < 300
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_client_that_goes_away_before_its_answer_pays_for_no_more(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = await served.session()
    body = asking(session_id, prompt="Write a long story.", max_tokens=600)
    async with http(served) as client:
        asked = asyncio.create_task(client.post("/v1/inference", json=body))
        async with asyncio.timeout(60):
            while not served.node.sessions.answering:
                await asyncio.sleep(0.005)
        asked.cancel()
        await asyncio.wait({asked})
    await silent(served)
    kept = await served.node.ledger.session(session_id)
    assert kept is not None
    assert sum(one.entry.billed for one in kept.entries) < 300
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def silent(served: Served) -> None:
    async with asyncio.timeout(60):
        while served.node.sessions.answering:
            await asyncio.sleep(0.005)


async def test_a_session_belongs_to_its_token(served: Served) -> None:
    session_id = await served.session()
    token = (await post(served, **asking(session_id))).json()["session_token"]
    for foreign in (None, "11" * 32):
        for stream in (False, True):
            reply = await post(served, foreign, **asking(session_id, stream=stream))
            assert reply.status_code == 401
            assert reply.json()["details"]["wire_code"] == "SESSION_NOT_YOURS"
    assert (await post(served, token, **asking(session_id))).status_code == 200
    async with served.wire(session_id) as wire:
        init = {"type": "session_init", "session_id": session_id, "session_token": token}
        assert (await wire.ask(init))["type"] == "session_init_ack"
        assert (await wire.begin())["code"] == "SESSION_NOT_YOURS"


async def test_an_encrypted_session_is_not_served_in_the_clear(served: Served) -> None:
    async with served.wire() as wire:
        await wire.answer()
        reply = await post(served, **asking(wire.session_id))
        assert reply.status_code == 401
        assert await wire.answer()


async def test_the_depositor_takes_over(served: Served) -> None:
    session_id = await served.session()
    theirs = (await post(served, **asking(session_id))).json()["session_token"]
    proof = await wallet_proof(served.node, session_id)
    reply = await post(served, **asking(session_id, wallet=proof))
    assert reply.status_code == 200
    assert reply.json()["session_token"] != theirs
    assert (await post(served, theirs, **asking(session_id))).status_code == 401
    again = await post(served, **asking(session_id, wallet=proof))
    assert again.json()["details"]["wire_code"] == "CHALLENGE_UNKNOWN"


async def test_a_conversation_may_be_told(served: Served) -> None:
    session_id = await served.session()
    context: list[Body] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "My name is Ada.", "timestamp": 1},
        {"role": "assistant", "content": "Hello, Ada."},
    ]
    body = asking(session_id, prompt="What is my name?", conversation_context=context)
    told = (await post(served, **body)).json()
    prompt = json.loads(texts(told["transcript"])[0])
    said = json.dumps(prompt)
    for message in (*context, {"content": "What is my name?"}):
        assert str(message["content"]) in said
    assert "<|start|>" not in said


async def test_two_requests_at_once_are_one_too_many(served: Served) -> None:
    session_id = await served.session()
    token = (await post(served, **asking(session_id))).json()["session_token"]
    body = asking(session_id, prompt="Write a long story.", max_tokens=60, stream=True)
    headers = {"Authorization": f"Bearer {token}"}
    async with http(served) as client:
        async with client.stream("POST", "/v1/inference", json=body, headers=headers) as response:
            lines = response.aiter_lines()
            await anext(lines)
            reply = await post(served, token, **asking(session_id))
            assert reply.json()["details"]["wire_code"] == "STREAM_IN_PROGRESS"
            as_event = await client.post("/v1/inference", json=body, headers=headers)
            assert as_event.text.startswith("event: error\ndata: ")
            assert "STREAM_IN_PROGRESS" in as_event.text
            assert as_event.text.endswith("data: [DONE]\n\n")
            rest = [line async for line in lines]
    assert rest[-2] == "data: [DONE]"


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"prompt": None}, 400, "validation_error"),
        ({"max_tokens": "many"}, 400, "validation_error"),
        ({"conversation_context": [{"role": "nobody", "content": ""}]}, 400, "validation_error"),
        ({"session_id": None}, 400, "invalid_request"),
        ({"session_id": 10**9}, 404, "not_found"),
        ({"model": "a/b:c.gguf"}, 404, "model_not_found"),
        ({"prompt": ""}, 400, "invalid_request"),
        ({"max_tokens": 0}, 400, "invalid_request"),
        ({"temperature": -1}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_answered_has_its_status(
    served: Served, change: Body, status: int, kind: str
) -> None:
    session_id = await served.session()
    reply = await post(served, **{**asking(session_id), **change})
    assert (reply.status_code, reply.json()["error_type"]) == (status, kind)
    assert reply.json()["request_id"] == reply.headers["X-Request-Id"]


async def test_a_prompt_over_the_context_says_both_numbers(served: Served) -> None:
    reply = await post(served, **asking(await served.session(), prompt="word " * 3000))
    assert (reply.status_code, reply.json()["error_type"]) == (400, "invalid_request")
    details = reply.json()["details"]
    assert details["prompt_tokens"] > details["context_window_size"] == 1024


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe", b'"x"'])
async def test_a_body_that_cannot_be_read_is_refused(served: Served, body: bytes) -> None:
    async with http(served) as client:
        reply = await client.post("/v1/inference", content=body)
        assert (reply.status_code, reply.json()["error_type"]) == (400, "validation_error")
        assert (await client.get("/v1/inference")).status_code == 405
