"""What no client should send gets an error with a code, and the connection goes on."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import aiohttp
import pytest

from platformless.protocol.frames import MAX_FRAME_BYTES
from platformless.protocol.secrecy import PublicKeyBytes

from .served import Served
from .served import served as served
from .wire import Frame, Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEEP = "[" * 100_000
UNREADABLE: list[tuple[Frame | str | bytes, str]] = [
    ("", "INVALID_JSON"),
    ("Hello?", "INVALID_JSON"),
    ('{"type":"ping"', "INVALID_JSON"),
    ('{"type":"ping"} {}', "INVALID_JSON"),
    ('{"type":"ping","id":"\\ud800"}', "INVALID_JSON"),
    (DEEP, "INVALID_MESSAGE"),
    (DEEP + "]" * len(DEEP), "INVALID_MESSAGE"),
    ('{"type":"ping","more":' + DEEP, "INVALID_JSON"),
    ('{"a":' * 100_000, "INVALID_JSON"),
    (b"\xff\xfe\x00", "INVALID_JSON"),
    (bytes(1000), "INVALID_JSON"),
    ("[]", "INVALID_MESSAGE"),
    ("null", "INVALID_MESSAGE"),
    ("7", "INVALID_MESSAGE"),
    ("{}", "INVALID_MESSAGE"),
    ({"type": None}, "UNKNOWN_TYPE"),
    ({"type": ["ping"]}, "UNKNOWN_TYPE"),
    ({"type": "nonsense"}, "UNKNOWN_TYPE"),
    ({"type": "PING"}, "UNKNOWN_TYPE"),
    ({"type": "ping", "id": {"a": 1}}, "INVALID_MESSAGE"),
    ({"type": "ping", "id": "x" * 201}, "INVALID_MESSAGE"),
    ('{"type":"ping","id":' + "1" * 5000 + "}", "INVALID_MESSAGE"),
    ({"type": "ping", "session_id": [1]}, "INVALID_MESSAGE"),
    ({"type": "prompt", "max_tokens": "many"}, "INVALID_MESSAGE"),
    ({"type": "prompt", "request": "Hi"}, "INVALID_MESSAGE"),
    ({"type": "inference"}, "INVALID_MESSAGE"),
    ('{"type":"inference","request":{"prompt":"Hi","temperature":1e999}}', "INVALID_MESSAGE"),
    ({"type": "encrypted_session_init", "payload": "00"}, "INVALID_MESSAGE"),
    ({"type": "encrypted_session_init", "payload": {}}, "INVALID_MESSAGE"),
    ({"type": "encrypted_message", "payload": {"nonceHex": 7}}, "INVALID_MESSAGE"),
    ({"type": "acknowledge", "tokens": 1}, "INVALID_MESSAGE"),
    ({"type": "session_init", "session_id": "seven"}, "INVALID_MESSAGE"),
    ({"type": "session_init", "session_id": -1}, "INVALID_MESSAGE"),
    ({"type": "session_init", "session_id": str(2**64)}, "INVALID_MESSAGE"),
    ({"type": "session_init", "session_id": "9" * 5000}, "INVALID_MESSAGE"),
    ({"type": "session_init", "session_id": "1", "job_id": "2"}, "SESSION_MISMATCH"),
    ({"type": "session_init", "session_id": "1", "wallet": {"nonce": "00"}}, "INVALID_MESSAGE"),
]
TOO_EARLY: list[Frame] = [
    {"type": "prompt", "prompt": "Hi."},
    {"type": "inference", "request": {"prompt": "Hi."}},
    {"type": "encrypted_message", "payload": {"ciphertextHex": "00", "nonceHex": "00" * 24}},
    {"type": "encrypted_message"},
    {"type": "acknowledge", "tokens": 1, "state": "00" * 32, "signature": "00" * 65},
    {"type": "session_end"},
    {"type": "session_init"},
]


async def code(wire: Wire, frame: Frame | str | bytes) -> Any:
    """The code of the error that is the very next frame; nothing but that is told."""
    reply = await wire.ask(frame)
    assert reply["type"] == "error", (frame, reply)
    assert set(reply) <= {"type", "code", "message", "session_id", "id"}
    assert len(reply["message"]) < 600
    return reply["code"]


def changed(frame: Frame, **payload: object) -> Frame:
    frame = copy.deepcopy(frame)
    frame["payload"].update(payload)
    return frame


def flipped(text: str) -> str:
    """Hex with another last bit."""
    return text[:-1] + f"{int(text[-1], 16) ^ 1:x}"


async def test_what_cannot_be_read_gets_its_code(served: Served) -> None:
    async with served.wire() as wire:
        for frame, expected in UNREADABLE:
            assert await code(wire, frame) == expected, str(frame)[:200]
        for early in TOO_EARLY:
            assert await code(wire, early) == "OUT_OF_ORDER", early
        await wire.send({"type": "stream_cancel"})
        assert await wire.answer()
        for frame, expected in UNREADABLE:
            assert await code(wire, frame) == expected, str(frame)[:200]
        assert await wire.answer()


async def test_a_broken_init_gets_its_code(served: Served) -> None:
    async with served.wire() as wire:
        good = wire.init_frame()
        payload = good["payload"]
        broken: list[tuple[Frame, str]] = [
            ({name: good[name] for name in good if name != "payload"}, "MISSING_PAYLOAD"),
            ({**good, "payload": None}, "MISSING_PAYLOAD"),
            (changed(good, nonceHex="00"), "INVALID_NONCE_SIZE"),
            (changed(good, nonceHex=""), "INVALID_NONCE_SIZE"),
            (changed(good, ciphertextHex="zz"), "INVALID_HEX_ENCODING"),
            (changed(good, ciphertextHex="0"), "INVALID_HEX_ENCODING"),
            (changed(good, ephPubHex="zz"), "INVALID_HEX_ENCODING"),
            (changed(good, signatureHex="zz"), "INVALID_HEX_ENCODING"),
            (changed(good, signatureHex=""), "INVALID_PAYLOAD"),
            (changed(good, ephPubHex="02" + "ff" * 32), "INVALID_PAYLOAD"),
            (changed(good, ephPubHex=""), "INVALID_PAYLOAD"),
            (changed(good, ciphertextHex=""), "DECRYPTION_FAILED"),
            (changed(good, ciphertextHex=flipped(payload["ciphertextHex"])), "DECRYPTION_FAILED"),
            (changed(good, nonceHex=flipped(payload["nonceHex"])), "DECRYPTION_FAILED"),
            (changed(good, aadHex="00"), "DECRYPTION_FAILED"),
            (changed(good, signatureHex="00" * 65), "DECRYPTION_FAILED"),
            (changed(good, signatureHex="ff" * 65), "DECRYPTION_FAILED"),
            ({**good, "session_id": "1e3"}, "INVALID_MESSAGE"),
        ]
        for frame, expected in broken:
            assert await code(wire, frame) == expected, str(frame)[:200]
        assert (await wire.ask(good))["type"] == "session_init_ack"


NONSENSE: list[dict[str, object]] = [
    {"jobId": "seven"},
    {"jobId": None},
    {"jobId": 1.5},
    {"jobId": -1},
    {"jobId": "9" * 21},
    {"sessionKey": "00" * 31},
    {"sessionKey": "zz"},
    {"sessionKey": 7},
    {"modelName": None},
    {"pricePerToken": "much"},
    {"recoveryPublicKey": "0x00"},
    {"recoveryPublicKey": "0x02" + "ff" * 32},
    {"wallet": "mine"},
]


async def test_an_init_that_says_nonsense_is_refused(served: Served) -> None:
    async with served.wire() as wire:
        for inner in NONSENSE:
            assert await code(wire, wire.init_frame(**inner)) == "DECRYPTION_FAILED", inner
        assert await wire.answer()


async def test_an_init_for_another_host_is_refused(served: Served) -> None:
    async with served.wire() as wire:
        wire.host_key, ours = PublicKeyBytes.of(b"\x07" * 32), wire.host_key
        assert await code(wire, wire.init_frame()) == "DECRYPTION_FAILED"
        wire.host_key = ours
        assert await wire.answer()


async def test_a_broken_message_gets_its_code(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        good = wire.prompt(max_tokens=3)
        payload = good["payload"]
        key, wire.session_key = wire.session_key, b"\x55" * 32
        foreign = wire.prompt()
        wire.session_key = key
        broken: list[tuple[Frame, str]] = [
            ({name: good[name] for name in good if name != "payload"}, "MISSING_PAYLOAD"),
            (changed(good, nonceHex="00" * 12), "INVALID_NONCE_SIZE"),
            (changed(good, ciphertextHex="0x0"), "INVALID_HEX_ENCODING"),
            (changed(good, ciphertextHex=""), "DECRYPTION_FAILED"),
            (changed(good, ciphertextHex=flipped(payload["ciphertextHex"])), "DECRYPTION_FAILED"),
            (changed(good, nonceHex=flipped(payload["nonceHex"])), "DECRYPTION_FAILED"),
            (changed(good, aadHex=b"message_9".hex()), "DECRYPTION_FAILED"),
            (changed(good, aadHex=""), "DECRYPTION_FAILED"),
            (foreign, "DECRYPTION_FAILED"),
            (wire.message_frame(b"\xff\xfe"), "INVALID_UTF8"),
            (wire.message_frame({"prompt": 7}), "INVALID_MESSAGE"),
            (wire.message_frame({"prompt": "Hi.", "stop": "x"}), "INVALID_MESSAGE"),
            (wire.message_frame({"prompt": "Hi.", "stop": ["x"] * 17}), "INVALID_MESSAGE"),
            (wire.message_frame('{"prompt":"\\ud83d"}'), "INVALID_MESSAGE"),
            (wire.message_frame('{"a":' * 100_000), "INVALID_MESSAGE"),
            ({"type": "prompt", "prompt": "Hi."}, "OUT_OF_ORDER"),
        ]
        for frame, expected in broken:
            assert await code(wire, frame) == expected, str(frame)[:200]
        await wire.send(good)
        assert (await wire.streamed()).end["reason"] == "complete"


MEANINGLESS: list[dict[str, object]] = [
    {"max_tokens": 0},
    {"max_tokens": -5},
    {"temperature": -1},
    {"temperature": 1e300},
    {"top_k": -1},
    {"top_k": 2**32},
    {"top_p": -0.5},
    {"min_p": 1e39},
    {"repeat_penalty": -1.0},
    {"client_seed": "00"},
    {"client_seed": "zz" * 32},
]


async def test_a_parameter_without_meaning_is_refused(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        for parameters in MEANINGLESS:
            frame = wire.message_frame({"prompt": "Hi.", "max_tokens": 3, **parameters})
            assert await code(wire, frame) == "INVALID_REQUEST", parameters
            end = await wire.next()
            assert (end["type"], end["reason"], end["id"]) == ("stream_end", "error", frame["id"])
        assert await wire.answer()


async def test_the_largest_numbers_are_no_trouble(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        request = {"prompt": "Hi.", "max_tokens": 10**30, "top_k": 2**32 - 1, "stop": ["", "e"]}
        await wire.send(wire.message_frame({**request, "transcript_from": 10**30}))
        assert (await wire.next("stream_end", "error"))["type"] == "stream_end"


async def test_an_acknowledgement_of_nothing_is_refused(served: Served) -> None:
    async with served.wire() as wire:
        await wire.begin()
        frame = {"type": "acknowledge", "tokens": 0, "state": "00" * 32, "signature": "00" * 65}
        assert await code(wire, frame) == "OUT_OF_ORDER"
        await wire.answer()
        end = (await wire.ask(wire.prompt(max_tokens=2), "stream_end"))["sealed_transcript"]
        told = json.loads(wire.open(end))
        known = {**frame, "tokens": told["tokens"], "state": told["state"]}
        for broken in (
            frame,
            {**frame, "tokens": 10**30},
            {**frame, "tokens": -1},
            {**frame, "state": "zz"},
            known,
            {**known, "signature": "ff" * 65},
            {**known, "signature": "\u0662" * 130},
        ):
            assert await code(wire, broken) == "ACKNOWLEDGEMENT_REFUSED", broken


async def test_a_frame_that_is_too_large_gets_a_code(served: Served) -> None:
    async with served.wire() as wire:
        large = '{"type":"ping","more":"' + "x" * MAX_FRAME_BYTES + '"}'
        assert await code(wire, large) == "MESSAGE_TOO_LARGE"
        assert await code(wire, large.encode()) == "MESSAGE_TOO_LARGE"
        assert (await wire.ask({"type": "ping"}))["type"] == "pong"
        assert await wire.answer()


async def test_bytes_are_read_as_text_is(served: Served) -> None:
    async with served.wire() as wire:
        assert (await wire.ask(b'{"type":"ping","id":1}'))["type"] == "pong"
        init = json.dumps(wire.init_frame()).encode()
        assert (await wire.ask(init))["type"] == "session_init_ack"


async def test_text_that_is_no_unicode_closes_one_connection(served: Served) -> None:
    async with served.wire() as wire:
        await wire.answer()
        writer = wire.socket._writer
        await writer.send_frame(b"\xff\xfe", aiohttp.WSMsgType.TEXT)
        closed = await asyncio.wait_for(wire.socket.receive(), 20)
        assert (closed.type, wire.socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1007)
    async with served.wire(wire.session_id) as again:
        assert await again.answer()


async def test_a_flood_of_garbage_is_answered_in_full(served: Served) -> None:
    async with served.wire() as wire:
        for number in range(500):
            await wire.send({"type": "nonsense", "id": number})
        await wire.send({"type": "ping"})
        codes = [await wire.next() for _ in range(500)]
        assert {reply["code"] for reply in codes} == {"UNKNOWN_TYPE"}
        assert (await wire.next())["type"] == "pong"


async def test_too_many_connections_are_told_so(served: Served, tmp_path: Any) -> None:
    async with served.other(tmp_path, max_connections=1) as node, served.wire(node=node) as wire:
        async with aiohttp.ClientSession() as http:
            async with http.ws_connect(f"{node.report.url}/v1/ws") as socket:
                assert (await socket.receive_json())["code"] == "NODE_FULL"
                await socket.receive()
                assert socket.close_code == 1013
        assert await wire.answer()
