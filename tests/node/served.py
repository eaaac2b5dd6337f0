"""A node that the tests of a module share. Each test opens sessions of its own.

Such tests run in the module's event loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from platformless.chain.devchain import DevChain
from platformless.node.running import Node
from platformless.node.sessions.rules import SessionRules
from tests.chain.world import World

from .wire import Wire
from .world import QUICK, NodeWorld


@dataclass(frozen=True)
class Served:
    """A running node, and the chain that it is on."""

    nodes: NodeWorld
    node: Node

    @property
    def url(self) -> str:
        return self.node.report.url

    async def session(self) -> int:
        """A new one, paid for."""
        return await self.nodes.world.open_session()

    @asynccontextmanager
    async def wire(
        self, session_id: int | None = None, key: bytes = b"\x21" * 32, node: Node | None = None
    ) -> AsyncIterator[Wire]:
        """A connection for a session; for a new one, if none is named."""
        if session_id is None:
            session_id = await self.session()
        async with self.nodes.wire(node or self.node, session_id, key) as wire:
            yield wire

    @asynccontextmanager
    async def other(
        self, folder: Path, rules: SessionRules | None = QUICK, **changes: object
    ) -> AsyncIterator[Node]:
        """Another node of the same host, with its ledger in `folder`."""
        async with self.nodes.node(rules, data_folder=folder, engine_threads=1, **changes) as node:
            yield node


@asynccontextmanager
async def own_node(
    served: Served, folder: Path, rules: SessionRules = QUICK, **changes: object
) -> AsyncIterator[Node]:
    """A node of the test's own, where its clients find it."""
    try:
        async with served.other(folder, rules, **changes) as node:
            yield node
    finally:
        served.nodes.ahead_seconds = 0
        await served.nodes.announce(served.url)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits, a minute at most."""
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    dev_chain: DevChain, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    async with World(dev_chain, folder) as world:
        nodes = NodeWorld(world, folder)
        async with nodes.node(engine_threads=1) as node:
            yield Served(nodes, node)
