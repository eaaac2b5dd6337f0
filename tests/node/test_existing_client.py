"""What an unmodified existing client expects of a host, frame by frame."""

from __future__ import annotations

import json

import pytest
from coincurve import PublicKey

from platformless.chain.devchain.running import TEST_MODEL

from .served import Served
from .served import served as served

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAME = f"{TEST_MODEL.repository}:{TEST_MODEL.file_name}"


async def test_a_prompt_is_answered_in_the_order_that_clients_wait_for(served: Served) -> None:
    async with served.wire() as wire:
        ack = await wire.begin()
        assert (ack["type"], ack["status"]) == ("session_init_ack", "success")
        assert (ack["session_id"], ack["job_id"], ack["chain_id"]) == (
            str(wire.session_id),
            wire.session_id,
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
        assert {frame["session_id"] for frame in frames} == {str(wire.session_id)}
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


async def test_a_client_begins_anew_before_every_prompt(served: Served) -> None:
    async with served.wire() as wire:
        for question in ("Name a colour.", "Name another.", "And one more."):
            assert await wire.answer(question)
        kept = await served.node.ledger.session(wire.session_id)
        assert kept is not None
        assert [one.entry.kind.name for one in kept.entries] == ["PROMPT", "COMPLETION"] * 3


async def test_a_client_comes_back_on_another_connection(served: Served) -> None:
    session_id = await served.session()
    async with served.wire(session_id) as wire:
        await wire.answer()
    async with served.wire(session_id) as wire:
        ack = await wire.begin()
        assert ack["entries"] == 2
        assert await wire.answer()


async def test_a_bare_prompt_and_prompts_with_other_ids_are_taken(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.message_frame("Say hello.", max_tokens=5))
        assert (await wire.streamed()).end["tokens_used"] <= 5
        frame = wire.prompt(max_tokens=5)
        frame["session_id"] = "999999"
        await wire.send(frame)
        assert (await wire.streamed()).end["session_id"] == str(wire.session_id)
        frame = wire.prompt(max_tokens=5)
        del frame["session_id"]
        frame["payload"] = {name: "0x" + value for name, value in frame["payload"].items()}
        await wire.send(frame)
        assert (await wire.streamed()).text


async def test_an_init_may_be_written_in_other_ways(served: Served) -> None:
    async with served.wire() as wire:
        frame = wire.init_frame(
            jobId=f"{wire.session_id}n",
            sessionKey="0x" + "17" * 32,
            pricePerToken="5000n",
            recoveryPublicKey=None,
            vectorDatabase={"manifestPath": "a", "userAddress": "b"},
        )
        wire.session_key = b"\x17" * 32
        payload = frame["payload"]
        ephemeral = PublicKey(bytes.fromhex(payload["ephPubHex"])).format(compressed=False)
        payload["ephPubHex"] = ephemeral.hex()
        for name in ("ephPubHex", "ciphertextHex", "nonceHex", "signatureHex", "aadHex"):
            payload[name] = "0x" + payload[name].upper()
        del frame["session_id"]
        frame["sessionId"] = wire.session_id
        frame["id"] = 17
        ack = await wire.ask(frame, "session_init_ack", "error")
        assert (ack["type"], ack["id"]) == ("session_init_ack", 17)
        prompt = wire.prompt(max_tokens=3)
        prompt["id"] = 18
        await wire.send(prompt)
        assert (await wire.streamed()).end["id"] == 18


@pytest.mark.parametrize("name", [NAME, str(TEST_MODEL.id), "tiny-vicuna", "anything"])
async def test_the_model_may_be_spelled_in_every_way(served: Served, name: str) -> None:
    async with served.wire() as wire:
        wire.model = name
        assert (await wire.begin())["type"] == "session_init_ack"


@pytest.mark.parametrize("name", ["a/b:c.gguf", "0x" + "11" * 32])
async def test_another_models_name_is_refused(served: Served, name: str) -> None:
    async with served.wire() as wire:
        wire.model = name
        assert (await wire.begin())["code"] == "MODEL_NOT_SERVED"


async def test_a_prompt_for_another_model_is_refused(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.prompt(model="a/b:c.gguf"))
        assert (await wire.next("error"))["code"] == "MODEL_NOT_SERVED"
        assert (await wire.next("stream_end"))["reason"] == "error"
        assert await served.node.ledger.session(wire.session_id) is None
        assert await wire.answer()


async def test_an_empty_prompt_is_refused(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        for frame in (wire.prompt(""), wire.message_frame({"promt": "Hi"}), wire.message_frame("")):
            await wire.send(frame)
            assert (await wire.next("error"))["code"] == "INVALID_REQUEST"
            assert (await wire.next("stream_end"))["id"] == frame["id"]
        assert await served.node.ledger.session(wire.session_id) is None


async def test_a_cancel_right_behind_the_prompt_is_heard(served: Served) -> None:
    async with served.wire() as wire:
        for _ in range(5):
            await wire.begin()
            await wire.send(wire.prompt("Write a long story.", 300))
            await wire.send({"type": "stream_cancel"})
            end = await wire.next("stream_end")
            assert (end["reason"], end["tokens_used"] < 30) == ("cancelled", True)


async def test_one_answer_at_a_time(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.prompt("Write a long story.", 100))
        second = wire.prompt()
        error = await wire.ask(second, "error")
        assert (error["code"], error["id"]) == ("STREAM_IN_PROGRESS", second["id"])
        async with served.wire(wire.session_id) as other:
            await other.begin()
            reply = await other.ask(other.prompt(), "error")
            assert reply["code"] == "STREAM_IN_PROGRESS"
        assert (await wire.next("stream_end"))["reason"] == "complete"


async def test_a_cancelled_answer_ends_with_stream_end_alone(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.prompt("Write a long story.", 500))
        chunks = [await wire.next("encrypted_chunk") for _ in range(5)]
        await wire.send(
            {
                "type": "stream_cancel",
                "session_id": str(wire.session_id),
                "reason": "user_cancelled",
            }
        )
        while (frame := await wire.next())["type"] == "encrypted_chunk":
            assert not frame.get("final")
            chunks.append(frame)
        assert frame["type"] == "stream_end"
        assert (frame["reason"], frame["finish_reason"]) == ("cancelled", "cancelled")
        assert frame["tokens_used"] == sum(chunk["tokens"] for chunk in chunks) < 100
        assert await wire.answer()


async def test_a_heartbeat_is_answered_in_mid_stream(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.prompt("Write a long story.", 60))
        await wire.next("encrypted_chunk")
        assert (await wire.ask({"type": "ping", "id": 5}, "pong"))["id"] == 5
        assert (await wire.next("stream_end"))["tokens_used"] > 0


async def test_a_prompt_over_the_context_says_both_numbers(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.prompt("word " * 2000))
        error = await wire.next("error")
        assert error["code"] == "TOKEN_LIMIT_EXCEEDED"
        assert error["prompt_tokens"] > error["context_window_size"] == 1024
        assert (await wire.next("stream_end"))["reason"] == "error"
        assert await wire.answer()


@pytest.mark.parametrize(
    ("action", "family"),
    [("image_generation", "image"), ("transcode", "transcode"), ("ltx_generate", "ltx")],
)
async def test_other_actions_are_refused_at_once(served: Served, action: str, family: str) -> None:
    async with served.wire() as wire:
        await wire.begin()
        frame = wire.message_frame({"action": action, "prompt": "a cat"})
        reply = await wire.ask(frame, "encrypted_response", "error")
        assert reply["id"] == frame["id"]
        associated = bytes.fromhex(reply["payload"]["aadHex"]).decode()
        assert associated == f"encrypted_{family}_response"
        told = json.loads(wire.open(reply["payload"]))
        assert told["type"].startswith(family)
        assert told["type"].endswith("_error")
        assert "NOT_SUPPORTED" in (told["error_code"], told["error"])
        assert await served.node.ledger.session(wire.session_id) is None


async def test_an_action_that_nobody_knows_is_refused(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        reply = await wire.ask(wire.message_frame({"action": "dance"}), "error")
        assert reply["code"] == "NOT_SUPPORTED"
        await wire.send({"type": "transcode_cancel"})
        await wire.send({"type": "ltx_cancel"})
        assert await wire.answer()


async def test_actions_in_the_clear_are_refused(served: Served) -> None:
    async with served.wire() as wire:
        await wire.ask({"type": "session_init", "job_id": wire.session_id}, "session_init_ack")
        request = {"action": "image_generation", "prompt": "a cat"}
        reply = await wire.ask({"type": "inference", "request": request}, "error", "stream_chunk")
        assert reply["code"] == "NOT_SUPPORTED"


async def test_vectors_are_refused_in_their_own_form(served: Served) -> None:
    async with served.wire() as wire:
        upload = {"type": "uploadVectors", "requestId": "r1", "vectors": [], "replace": True}
        reply = await wire.ask(upload, "uploadVectorsResponse")
        assert (reply["requestId"], reply["status"], reply["uploaded"]) == ("r1", "error", 0)
        search = {"type": "searchVectors", "requestId": "r2", "queryVector": [0.0], "k": 1}
        reply = await wire.ask(search, "searchVectorsResponse")
        assert (reply["requestId"], reply["results"]) == ("r2", [])


async def test_images_are_refused(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        await wire.send(wire.prompt(images=[{"data": "AAAA", "format": "png"}]))
        assert (await wire.next("error"))["code"] == "NOT_SUPPORTED"


async def test_a_session_in_the_clear(served: Served) -> None:
    async with served.wire() as wire:
        ack = await wire.ask(
            {
                "type": "session_init",
                "chain_id": 84532,
                "session_id": str(wire.session_id),
                "jobId": str(wire.session_id),
                "user_address": "0x" + "11" * 20,
                "id": "i1",
            },
            "session_init_ack",
        )
        assert (ack["id"], ack["job_id"]) == ("i1", wire.session_id)
        request = {"model": "m", "prompt": "Say hello.", "max_tokens": 6, "temperature": 0.7}
        for frame in (
            {"type": "prompt", "jobId": str(wire.session_id), "prompt": "x", "request": request},
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
