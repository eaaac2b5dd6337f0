"""A whole node under its supervisor at the level `trace`, with an encrypted session, one in the
clear, and things that go wrong: nothing that was said and no secret is in what it wrote.

Searched are standard output and error, and every file of the data folder, sealed ones as well.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from platformless.chain.devchain import DevChain
from platformless.chain.devchain.accounts import dev_account
from platformless.node.supervisor.run import free_port
from tests.chain.world import World

from .world import NodeWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
PROMPT = (
    'Write a very long story about a zebra that hums the Ωmega waltz at 4711 "Quixote" \\ Lane.'
)
UNSERVED = "A wombat asks for less than nothing."
LEDGER_KEY = bytes(range(200, 232))
PROVIDER_KEY = "pr0vider-key-0123456789abcdef"
TOKENS = {"METRICS_TOKEN": "metrics-token-31337", "S5_PORTAL_TOKEN": "portal-token-31337"}
_PIECE = 24
"""Letters in a row that no log has by chance."""
_SHORTEST = 12
_CHECKPOINT_TOKENS = 100
_PATIENT_SECONDS = 120.0


@dataclass(frozen=True)
class Run:
    """What is left of a run."""

    written: bytes
    """To standard output and error."""
    lines: list[dict[str, Any]]
    """Of standard error."""
    files: dict[str, bytes]
    """Of the data folder, by name."""
    session_ids: tuple[int, int]
    session_token: str
    answers: list[str]
    session_keys: list[bytes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(dev_chain: DevChain, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    folder = tmp_path_factory.mktemp("logged")
    async with World(dev_chain, folder) as world:
        yield await _ran(NodeWorld(world, folder), folder)


async def _ran(nodes: NodeWorld, folder: Path) -> Run:
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    nobody = free_port("127.0.0.1")
    chain_url = nodes.world.dev_chain.rpc_url
    environment = {
        **os.environ,
        **nodes.environment(
            engine_threads=1, checkpoint_tokens=_CHECKPOINT_TOKENS, data_folder=folder / "data"
        ),
        **TOKENS,
        # The first endpoint is never there: the node says so again and again.
        "RPC_URL": f"http://127.0.0.1:{nobody}/v2/{PROVIDER_KEY},{chain_url}",
        "RPC_URL_BASE_SEPOLIA": chain_url,
        "API_PORT": str(port),
        "LEDGER_KEY": LEDGER_KEY.hex(),
        "LOG_LEVEL": "trace,httpx=trace,websockets=trace,uvicorn=trace",
        "LOG_FORMAT": "json",
    }
    out, err = folder / "out", folder / "err"
    words = ("-m", "platformless.node", "--env-file", "/dev/null", "--provers", "0", "--json")
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, env=environment, cwd=ROOT, stdout=out_file, stderr=err_file
        )
    try:
        await nodes.announce(url)
        async with asyncio.timeout(_PATIENT_SECONDS):
            while '"running"' not in out.read_text():
                assert process.returncode is None, err.read_text()[-4000:]
                await asyncio.sleep(0.05)
        said = await _talk(nodes, url)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(_PATIENT_SECONDS):
            assert await process.wait() == 0, err.read_text()[-4000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    written = err.read_bytes()
    found = [one for one in (folder / "data").rglob("*") if one.is_file()]
    return Run(
        out.read_bytes() + written,
        [json.loads(line) for line in written.decode().splitlines()],
        {str(one.relative_to(folder / "data")): one.read_bytes() for one in found},
        *said,
    )


async def _talk(nodes: NodeWorld, url: str) -> tuple[tuple[int, int], str, list[str], list[bytes]]:
    """An encrypted session that ends, and one in the clear with a prompt that is refused."""
    async with nodes.client() as client:
        session = await nodes.open(client)
        async with session:
            answers = []
            while session.tokens < _CHECKPOINT_TOKENS:
                answers.append(
                    await (await session.ask(PROMPT, max_tokens=130, new_context=True)).text()
                )
            await session.end()
        key = client.wallet.encryption_key
    clear_id = await nodes.world.open_session()
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        body = {"prompt": PROMPT, "max_tokens": 40, "session_id": clear_id, "request_id": "r-31337"}
        told = (await http.post("/v1/inference", json=body)).json()
        bearer = {"authorization": f"Bearer {told['session_token']}"}
        refused = {**body, "prompt": UNSERVED, "max_tokens": 0}
        assert (await http.post("/v1/inference", json=refused, headers=bearer)).status_code == 400
        foreign = {"authorization": "Bearer " + "31" * 32}
        assert (await http.post("/v1/inference", json=body, headers=foreign)).status_code == 401
    return (session.id, clear_id), told["session_token"], [*answers, told["content"]], [key]


def spellings(key: bytes) -> Iterator[bytes]:
    """Of a key, as bytes, text and numbers."""
    yield key
    yield key.hex().encode()
    yield key.hex().upper().encode()
    yield repr(key)[2:-1].encode()
    yield base64.b64encode(key)[:40]
    yield base64.urlsafe_b64encode(key)[:40]
    yield str(int.from_bytes(key, "big")).encode()
    yield ", ".join(map(str, key)).encode()


def pieces(text: str) -> Iterator[bytes]:
    """Of what was said, also as JSON and Python write it."""
    for spelling in (text, json.dumps(text)[1:-1], repr(text)[1:-1]):
        for start in range(0, max(1, len(spelling) - _PIECE), _PIECE // 2):
            piece = spelling[start : start + _PIECE]
            if len(piece) >= _SHORTEST:
                yield piece.encode()


def secrets(run: Run) -> Iterator[bytes]:
    yield from spellings(bytes(dev_account("host").key))
    yield from spellings(LEDGER_KEY)
    for key in run.session_keys:
        yield from spellings(key)
    for text in (*TOKENS.values(), run.session_token, PROVIDER_KEY):
        yield text.encode()
    for text in (PROMPT, UNSERVED, *run.answers):
        yield from pieces(text)


async def test_nothing_that_was_said_and_no_secret_is_in_what_was_written(run: Run) -> None:
    assert len(run.written) > 10_000
    assert [needle for needle in secrets(run) if needle in run.written] == []


async def test_nothing_of_it_is_in_a_file_of_the_data_folder(run: Run) -> None:
    assert any(name.startswith("ledger.db") for name in run.files)
    needles = set(secrets(run))
    found = {
        name: [needle for needle in needles if needle in data] for name, data in run.files.items()
    }
    assert {name: needles for name, needles in found.items() if needles} == {}


async def test_every_line_is_json_and_names_its_service(run: Run) -> None:
    assert {line["service"] for line in run.lines if "service" in line} == {
        *("broker", "portal", "node", "settlement")
    }
    for line in run.lines:
        assert {"time", "level", "logger", "process", "message"} <= line.keys()
        assert line["level"] in ("ERROR", "WARN", "INFO", "DEBUG", "TRACE")
    by_node = [line for line in run.lines if line.get("service") == "node"]
    assert {line["process"] for line in by_node} == {"node"}


async def test_a_session_is_followed_from_its_beginning_to_its_end(run: Run) -> None:
    encrypted, clear = run.session_ids
    by_node = [line for line in run.lines if line.get("service") == "node"]
    infos = [line for line in by_node if line["level"] == "INFO"]
    of_session = [line for line in infos if line.get("session") == encrypted]
    messages = [line["message"].partition(": ")[0] for line in of_session]
    assert messages[0] == f"session {encrypted} is taken up"
    assert messages[-1] == f"session {encrypted} has ended"
    assert f"session {encrypted}" in messages[1:-1], "its checkpoint"
    assert of_session[-1]["tokens"] >= 100
    requests = [line for line in run.lines if line.get("request") == "r-31337"]
    assert {line["session"] for line in requests if line["level"] == "DEBUG"} == {clear}


async def test_what_went_wrong_is_a_warning(run: Run) -> None:
    warnings = [line for line in run.lines if line["level"] == "WARN"]
    assert any("rests" in line["message"] for line in warnings), "the endpoint that is not there"
    assert [line for line in run.lines if line["level"] == "ERROR"] == []
