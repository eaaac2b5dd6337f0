"""A node in a process of its own, to be killed: `python -m tests.node.node_process ENV.json`.

Prints its URL when it serves. The environment is in the file."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from platformless.node.running import Node
from platformless.node.settings import load_settings

from .world import QUICK


async def main(environment: dict[str, str]) -> None:
    settings, network = load_settings(environment, env_file=None)
    async with Node(settings, network, QUICK) as node:
        print(node.report.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
