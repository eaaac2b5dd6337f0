"""What an unmodified existing client expects of a host, frame by frame."""

from __future__ import annotations

import json

import pytest

from platformless.chain.devchain.running import TEST_MODEL

from .world import NodeWorld

NAME = f"{TEST_MODEL.repository}:{TEST_MODEL.file_name}"


async def test_a_prompt_is_answered_in_the_order_that_clients_wait_for(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        ack = await wire.begin()
        assert (ack["type"], ack["status"]) == ("session_init_ack", "success")
        assert (ack["session_id"], ack["job_id"], ack["chain_id"]) == (
            str(session_id),
            session_id,
            84532,
        )
        prompt = wire.prompt("Say hello.", 8)
        await wire.send(prompt)
        frames = [await wire.next()]
        while frames[-1]["type"] != "stream_end":
            frames.append(await wire.next())
        *chunks, last, response, end = frames
        assert all(chunk["type"] == "encrypted_chunk" for chunk in (*chunks, last))
        assert {frame["id"] for frame in frames} == {prompt["id"]}
        assert {frame["session_id"] for frame in frames} == {str(session_id)}
        numbers = [chunk["payload"]["index"] for chunk in (*chunks, last)]
        assert numbers == list(range(len(chunks) + 1))
        associated = [bytes.fromhex(chunk["payload"]["aadHex"]) for chunk in (*chunks, last)]
        assert associated == [b"chunk_%d" % number for number in numbers]
        assert (last["final"], last["tokens"], wire.open(last["payload"])) == (True, 0, b"")
        assert bytes.fromhex(response["payload"]["aadHex"]) == b"encrypted_response_final"
        word = wire.open(response["payload"]).decode()
        assert word in ("stop", "length")
        assert end["finish_reason"] == word
        assert end["tokens_used"] == sum(chunk["tokens"] for chunk in chunks) <= 8
        usage = end["usage"]
        assert usage["completion_tokens"] == end["tokens_used"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert usage["context_window_size"] == 1024


async def test_a_client_begins_anew_before_every_prompt(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        for question in ("Name a colour.", "Name another.", "And one more."):
            assert await wire.answer(question)
        kept = await node.ledger.session(session_id)
        assert kept is not None
        assert [one.entry.kind.name for one in kept.entries] == ["PROMPT", "COMPLETION"] * 3


async def test_a_client_comes_back_on_another_connection(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node:
        async with nodes.wire(node, session_id) as wire:
            await wire.answer()
        async with nodes.wire(node, session_id) as wire:
            ack = await wire.begin()
            assert ack["entries"] == 2
            assert await wire.answer()


async def test_a_bare_prompt_and_prompts_with_other_ids_are_taken(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        await wire.begin()
        await wire.send(wire.message_frame("Say hello.", max_tokens=5))
        assert (await wire.streamed()).end["tokens_used"] <= 5
        frame = wire.prompt(max_tokens=5)
        frame["session_id"] = "999999"
        await wire.send(frame)
        assert (await wire.streamed()).end["session_id"] == str(session_id)
        frame = wire.prompt(max_tokens=5)
        del frame["session_id"]
        frame["payload"] = {name: "0x" + value for name, value in frame["payload"].items()}
        await wire.send(frame)
        assert (await wire.streamed()).text


@pytest.mark.parametrize("name", [NAME, str(TEST_MODEL.id), "tiny-vicuna", "anything"])
async def test_the_model_may_be_spelled_in_every_way(nodes: NodeWorld, name: str) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        wire.model = name
        assert (await wire.begin())["type"] == "session_init_ack"


@pytest.mark.parametrize("name", ["a/b:c.gguf", "0x" + "11" * 32])
async def test_another_models_name_is_refused(nodes: NodeWorld, name: str) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        wire.model = name
        assert (await wire.begin())["code"] == "MODEL_NOT_SERVED"


async def test_a_cancelled_answer_ends_with_stream_end_alone(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        await wire.begin()
        await wire.send(wire.prompt("Write a long story.", 500))
        chunks = [await wire.next("encrypted_chunk") for _ in range(5)]
        await wire.send(
            {
                "type": "stream_cancel",
                "session_id": str(session_id),
                "reason": "user_cancelled",
            }
        )
        while (frame := await wire.next())["type"] == "encrypted_chunk":
            assert not frame["final"] if "final" in frame else True
            chunks.append(frame)
        assert frame["type"] == "stream_end"
        assert (frame["reason"], frame["finish_reason"]) == ("cancelled", "cancelled")
        assert frame["tokens_used"] == sum(chunk["tokens"] for chunk in chunks) < 100
        assert await wire.answer()


async def test_a_heartbeat_is_answered_in_mid_stream(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        await wire.begin()
        await wire.send(wire.prompt("Write a long story.", 60))
        await wire.next("encrypted_chunk")
        assert (await wire.ask({"type": "ping", "id": 5}, "pong"))["id"] == 5
        assert (await wire.next("stream_end"))["tokens_used"] > 0


async def test_a_prompt_over_the_context_says_both_numbers(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        await wire.begin()
        await wire.send(wire.prompt("word " * 2000))
        error = await wire.next("error")
        assert error["code"] == "TOKEN_LIMIT_EXCEEDED"
        assert error["prompt_tokens"] > error["context_window_size"] == 1024
        assert (await wire.next("stream_end"))["reason"] == "error"
        assert await wire.answer()


@pytest.mark.parametrize("action", ["image_generation", "transcode", "ltx_generate"])
async def test_other_actions_are_refused_at_once(nodes: NodeWorld, action: str) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        await wire.begin()
        await wire.send(wire.message_frame({"action": action, "prompt": "a cat"}))
        told = json.loads(wire.open((await wire.next("encrypted_response"))["payload"]))
        assert told["type"].endswith("_error")


async def test_vectors_are_refused_in_their_own_form(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        upload = {"type": "uploadVectors", "requestId": "r1", "vectors": [], "replace": True}
        reply = await wire.ask(upload, "uploadVectorsResponse")
        assert (reply["requestId"], reply["status"], reply["uploaded"]) == ("r1", "error", 0)
        search = {"type": "searchVectors", "requestId": "r2", "queryVector": [0.0], "k": 1}
        reply = await wire.ask(search, "searchVectorsResponse")
        assert (reply["requestId"], reply["results"]) == ("r2", [])


async def test_images_are_refused(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        await wire.begin()
        await wire.send(wire.prompt(images=[{"data": "AAAA", "format": "png"}]))
        assert (await wire.next("error"))["code"] == "NOT_SUPPORTED"


async def test_a_session_in_the_clear(nodes: NodeWorld) -> None:
    session_id = await nodes.world.open_session()
    async with nodes.node() as node, nodes.wire(node, session_id) as wire:
        ack = await wire.ask(
            {
                "type": "session_init",
                "chain_id": 84532,
                "session_id": str(session_id),
                "jobId": str(session_id),
                "user_address": "0x" + "11" * 20,
                "id": "i1",
            },
            "session_init_ack",
        )
        assert (ack["id"], ack["job_id"]) == ("i1", session_id)
        request = {"model": "m", "prompt": "Say hello.", "max_tokens": 6, "temperature": 0.7}
        for frame in (
            {"type": "prompt", "jobId": str(session_id), "prompt": "x", "request": request},
            {"type": "prompt", **request},
            {"type": "inference", "request": request},
        ):
            await wire.send({**frame, "id": "p1"})
            text = ""
            while (reply := await wire.next("stream_chunk", "stream_end"))["type"] != "stream_end":
                text += reply["content"]
            assert text
            assert (reply["id"], reply["reason"]) == ("p1", "complete")
            assert reply["transcript"]["entries"][-1]["text"] == text
