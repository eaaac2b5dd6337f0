"""`fabstir-llm-node signer` in a process of its own, as an operator runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_START_SECONDS = 60.0


@dataclass(frozen=True)
class RunningSigner:
    """Where it is, and where its log is."""

    url: str
    log: Path
    process_id: int


@asynccontextmanager
async def running_signer(
    folder: Path, environment: Mapping[str, str], *words: str
) -> AsyncIterator[RunningSigner]:
    log = folder / "signer.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "platformless.node", "signer", "--json", *words),
            *("--env-file", os.devnull),
            env={"PATH": os.environ["PATH"], **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            told = await _object(process.stdout)
        assert told["outcome"] == "running", (told, log.read_text())
        yield RunningSigner(told["signer"]["url"], log, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _object(stream: asyncio.StreamReader) -> dict[str, Any]:
    """The JSON object that comes next."""
    text = b""
    while line := await stream.readline():
        text += line
        if line == b"}\n":
            break
    return dict(json.loads(text))
