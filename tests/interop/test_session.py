"""A conversation with a node, by a client in JavaScript that shares no code with it."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.chain.conftest import dev_chain as dev_chain
from tests.node.served import Served
from tests.node.served import served as served

pytestmark = pytest.mark.asyncio(loop_scope="module")

HERE = Path(__file__).parent
CLIENT_KEY = b"\x21" * 32


async def javascript(served: Served, session_id: int, *questions: str, **more: object) -> Any:
    """Answers as the client in JavaScript got them."""
    node = shutil.which("node")
    assert node is not None, "install Node.js"
    assert (HERE / "node_modules").is_dir(), "run `make interop`"
    command = {
        "url": served.url.replace("http", "ws", 1) + "/v1/ws",
        "host": served.nodes.host_key.value.hex(),
        "clientKey": CLIENT_KEY.hex(),
        "sessionId": str(session_id),
        "chainId": 84532,
        "model": str(served.nodes.world.model_id),
        "questions": questions,
        **more,
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node,
        "--no-warnings",
        "--experimental-websocket",
        HERE / "session.mjs",
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate(json.dumps(command).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_a_client_in_javascript_has_a_conversation(served: Served) -> None:
    session_id = await served.session()
    answers = await javascript(served, session_id, "Name a colour.", "And another?")
    assert len(answers) == 2
    kept = await served.node.ledger.session(session_id)
    assert kept is not None
    said = [one.entry for one in kept.entries if one.entry.kind.name == "COMPLETION"]
    for answer, entry in zip(answers, said, strict=True):
        assert answer["text"] == entry.text == answer["update"]["entries"][-1]["text"]
        assert answer["end"]["tokens_used"] == len(entry.tokens) > 0
        assert answer["finish"] == answer["end"]["finish_reason"]
    binding = await served.node.ledger.binding(session_id)
    assert binding is not None
    assert binding.holder == answers[0]["client"]


async def test_a_stranger_in_javascript_is_refused(served: Served) -> None:
    session_id = await served.session()
    await javascript(served, session_id, "Hello?")
    with pytest.raises(AssertionError, match="SESSION_NOT_YOURS"):
        await javascript(served, session_id, "Hello?", clientKey="66" * 32)
