"""A node in a process of its own, to be killed. Such processes are forked from one that has
everything imported (`processes`)."""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection

from platformless.node.reading_settings import load_settings
from platformless.node.running import Node

from .world import QUICK

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])


def run_node(environment: dict[str, str], address: Connection) -> None:
    """Runs for ever; sends its URL when it serves."""
    asyncio.run(_run(environment, address))


async def _run(environment: dict[str, str], address: Connection) -> None:
    settings, network = load_settings(environment, env_file=None)
    async with Node(settings, network, QUICK) as node:
        address.send(node.report.url)
        await asyncio.Event().wait()
