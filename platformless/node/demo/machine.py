"""The node of a demo, as an operator starts it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ...children import Child
from .errors import DemoFailed

_START_SECONDS = 240.0
_STOP_SECONDS = 60.0
_LOOK_SECONDS = 0.2


@asynccontextmanager
async def running_node(
    environment: Mapping[str, str], folder: Path
) -> AsyncIterator[dict[str, str]]:
    """`fabstir-llm-node`, with its log in the folder; tells where things are.

    Raises:
        DemoFailed: when it does not start.
    """
    told: list[str] = []
    up = asyncio.Event()
    loop = asyncio.get_running_loop()
    log_path = folder / "node.log"
    with log_path.open("w") as log:

        def hear(line: str) -> None:  # in the child's reading thread
            log.write(line + "\n")
            log.flush()
            if " | " not in line:
                told.append(line)
                if line == "}":
                    loop.call_soon_threadsafe(up.set)

        command = [sys.executable, "-m", "platformless.node", "--json", "--env-file", "/dev/null"]
        child = Child(command, environment={**os.environ, **environment}, on_line=hear)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not up.is_set():
                if child.exit_status is not None or time.monotonic() > deadline:
                    raise DemoFailed(
                        "the node does not start",
                        expected=f"that it runs within {_START_SECONDS:.0f} s",
                        got="\n".join(child.last_lines()),
                    )
                await asyncio.sleep(_LOOK_SECONDS)
            yield _json_in(told)["node"]
        finally:
            child.terminate()
            await asyncio.to_thread(child.wait, _STOP_SECONDS)
            child.kill()


def _json_in(lines: list[str]) -> dict[str, Any]:
    """The object that a command with `--json` printed among other lines."""
    start = len(lines) - 1 - lines[::-1].index("{")
    document: dict[str, Any] = json.loads("\n".join(lines[start:]))
    return document
