"""Frames from clients: every spelling of the existing client, and everything else with a code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol import frames
from platformless.protocol.errors import FrameRefused
from platformless.protocol.frames import (
    EncryptedInitFrame,
    EncryptedMessageFrame,
    PingFrame,
    PromptFrame,
    SessionInitFrame,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "existing-client.json").read_text())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def frame(**fields: Any) -> str:
    return json.dumps(fields)


def refused(data: str | bytes) -> str:
    with pytest.raises(FrameRefused) as error:
        frames.decode(data)
    return error.value.wire_code


@pytest.mark.parametrize("vector", VECTORS["init"])
def test_the_existing_clients_init_is_read(vector: dict[str, Any]) -> None:
    read = frames.decode(
        frame(
            type="encrypted_session_init",
            payload=vector["payload"],
            chain_id=84532,
            session_id="100",
            job_id="100",
        )
    )
    assert isinstance(read, EncryptedInitFrame)
    assert (read.session, read.job, read.chain) == (100, 100, 84532)
    assert read.payload is not None
    init = read.payload.decode()
    assert init.ephemeral_key.value.hex() == vector["payload"]["ephPubHex"]


@pytest.mark.parametrize(
    "fields",
    [
        {"session_id": "7"},
        {"sessionId": "7"},
        {"session_id": 7},
        {"sessionId": 7, "unknown": {"a": 1}},
    ],
)
def test_ids_come_in_every_spelling(fields: dict[str, Any]) -> None:
    read = frames.decode(frame(type="session_init", id="x", **fields))
    assert isinstance(read, SessionInitFrame)
    assert read.session == 7
    assert read.id == "x"
    assert read.job is None


@pytest.mark.parametrize("value", ["seven", "-1", "1.5", "", "٣", str(2**64), "1" * 5000])
def test_an_id_that_is_no_number_is_refused(value: str) -> None:
    read = frames.decode(frame(type="session_init", session_id=value))
    with pytest.raises(FrameRefused) as error:
        _ = read.session
    assert error.value.wire_code == "INVALID_MESSAGE"


def test_every_refusal_has_its_code() -> None:
    assert refused("") == "INVALID_JSON"
    assert refused("{") == "INVALID_JSON"
    assert refused(b"\xff\xfe") == "INVALID_JSON"
    assert refused('{"a":' * 100_000) == "INVALID_JSON"
    assert refused("[]") == "INVALID_MESSAGE"
    assert refused("{}") == "INVALID_MESSAGE"
    assert refused(frame(type="nonsense")) == "UNKNOWN_TYPE"
    assert refused(frame(type=7)) in ("UNKNOWN_TYPE", "INVALID_MESSAGE")
    assert refused(frame(type="inference")) == "INVALID_MESSAGE"
    assert refused(frame(type="prompt", max_tokens="many")) == "INVALID_MESSAGE"
    assert refused(" " * (frames.MAX_FRAME_BYTES + 1)) == "MESSAGE_TOO_LARGE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonceHex": "00"}, "INVALID_NONCE_SIZE"),
        ({"ciphertextHex": "zz"}, "INVALID_HEX_ENCODING"),
        ({"signatureHex": "zz"}, "INVALID_HEX_ENCODING"),
        ({"signatureHex": "00"}, "INVALID_PAYLOAD"),
        ({"ephPubHex": "02" + "ff" * 32}, "INVALID_PAYLOAD"),
        ({"ephPubHex": ""}, "INVALID_PAYLOAD"),
    ],
)
def test_a_broken_payload_is_refused_with_its_code(changes: dict[str, str], code: str) -> None:
    payload = {**VECTORS["init"][0]["payload"], **changes}
    read = frames.decode(frame(type="encrypted_session_init", payload=payload))
    assert isinstance(read, EncryptedInitFrame)
    assert read.payload is not None
    with pytest.raises(FrameRefused) as error:
        read.payload.decode()
    assert error.value.wire_code == code


def test_an_encrypted_prompt_is_json_or_bare_text() -> None:
    outer = frames.decode(frame(type="encrypted_message", model="outer", temperature=0.1))
    assert isinstance(outer, EncryptedMessageFrame)
    bare = frames.decode_prompt("Grüße".encode(), outer)
    assert (bare.prompt, bare.model, bare.temperature) == ("Grüße", "outer", 0.1)
    full = frames.decode_prompt(
        json.dumps({"prompt": "Hi", "model": "inner", "max_tokens": 50, "stream": True}).encode(),
        outer,
    )
    assert (full.prompt, full.model, full.max_tokens, full.temperature) == ("Hi", "inner", 50, 0.1)
    assert frames.decode_prompt(b"[1,2]", outer).prompt == "[1,2]"
    absent = frames.decode_prompt(b'{"prompt":"Hi","model":null,"max_tokens":null}', outer)
    assert (absent.model, absent.max_tokens) == ("outer", None)
    image = frames.decode_prompt(b'{"action":"image_generation","prompt":"a cat"}', outer)
    assert image.action == "image_generation"
    for data, code in (
        (b"\xff", "INVALID_UTF8"),
        (b'{"prompt":7}', "INVALID_MESSAGE"),
        (b'{"prompt":"\\ud83d"}', "INVALID_MESSAGE"),
        (b'{"prompt":"cut off', "INVALID_MESSAGE"),
    ):
        with pytest.raises(FrameRefused) as error:
            frames.decode_prompt(data, outer)
        assert error.value.wire_code == code


def test_a_ping_and_a_prompt_in_the_clear_are_read() -> None:
    assert isinstance(frames.decode('{"type":"ping"}'), PingFrame)
    read = frames.decode(
        frame(type="prompt", jobId="7", prompt="x", request={"prompt": "Hi", "max_tokens": 5}, id=1)
    )
    assert isinstance(read, PromptFrame)
    assert read.request is not None
    assert (read.job, read.request.prompt) == (7, "Hi")


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        frames.decode(json.dumps(value))
    except FrameRefused as error:
        assert error.wire_code


@given(
    st.sampled_from(["prompt", "encrypted_message", "stream_cancel"]),
    st.dictionaries(
        st.sampled_from(
            ["session_id", "payload", "request", "id", "prompt", "reason", "max_tokens"]
        ),
        JSON,
    ),
)
def test_any_fields_are_read_or_refused(kind: str, fields: dict[str, Any]) -> None:
    try:
        read = frames.decode(json.dumps({**fields, "type": kind}))
        _ = read.session
    except FrameRefused as error:
        assert error.wire_code in ("INVALID_MESSAGE", "INVALID_JSON")


def test_nesting_without_end_does_not_kill_the_process() -> None:
    """A library raises Python's recursion limit when it is imported; C code then trusts it."""
    script = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from platformless.protocol import delta, frames\n"
        "from platformless.protocol.errors import ProtocolError\n"
        "deep = b'[' * 100_000 + b']' * 100_000\n"
        'outer = frames.decode(\'{"type":"encrypted_message"}\')\n'
        'frame = b\'{"type":"ping","id":%s}\' % deep\n'
        'prompt = b\'{"images":%s,"prompt":"x"}\' % deep\n'
        'published = b\'{"encrypted":true,"x":%s}\' % deep\n'
        "for read in (lambda: frames.decode(frame), lambda: frames.decode_prompt(prompt, outer),\n"
        "             lambda: delta.decode(published)):\n"
        "    try: read()\n"
        "    except ProtocolError: print('refused')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("refused") == 3
