"""Frames of the host: what existing clients read is where they look for it."""

from __future__ import annotations

import json

import pytest

from platformless.protocol import replies
from platformless.protocol.envelope import Encrypted
from platformless.protocol.replies import (
    EncryptedChunk,
    ErrorReply,
    Reply,
    SealedPayload,
    SessionInitAck,
    StreamEnd,
    Usage,
)


def fields(reply: Reply) -> dict[str, object]:
    read: dict[str, object] = json.loads(replies.encode(reply))
    return read


def test_what_is_absent_is_left_out() -> None:
    assert fields(ErrorReply(code="A", message="b")) == {
        "type": "error",
        "code": "A",
        "message": "b",
    }


def test_an_ack_says_what_it_must_even_when_it_is_nothing() -> None:
    ack = SessionInitAck(status="success", job_id=None, chain_id=None)
    assert fields(ack) == {
        "type": "session_init_ack",
        "status": "success",
        "job_id": None,
        "chain_id": None,
    }


def test_a_chunk_is_lower_case_hex_with_its_number() -> None:
    payload = SealedPayload.of(Encrypted(b"\xab\xcd", b"\x01" * 24, b"chunk_0"), 0)
    chunk = EncryptedChunk(session_id="7", id="m1", tokens=1, payload=payload)
    assert fields(chunk) == {
        "type": "encrypted_chunk",
        "session_id": "7",
        "id": "m1",
        "tokens": 1,
        "payload": {
            "ciphertextHex": "abcd",
            "nonceHex": "01" * 24,
            "aadHex": b"chunk_0".hex(),
            "index": 0,
        },
    }


def test_numbers_of_an_answer_are_where_clients_read_them() -> None:
    end = StreamEnd(
        reason="complete", tokens_used=5, finish_reason="stop", usage=Usage(10, 5, 15, 4096)
    )
    assert fields(end) == {
        "type": "stream_end",
        "reason": "complete",
        "tokens_used": 5,
        "finish_reason": "stop",
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "context_window_size": 4096,
        },
    }


def test_frames_come_back_as_they_were() -> None:
    end = StreamEnd(reason="cancelled", tokens_used=5, id=3)
    assert replies.decode(replies.encode(end)) == end


@pytest.mark.parametrize(
    "data", ["", "[]", "{}", '{"type":"searchStarted"}', b"\xff", "[" * 10_000]
)
def test_what_is_not_known_is_nothing(data: str | bytes) -> None:
    assert replies.decode(data) is None
