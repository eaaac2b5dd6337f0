"""A node that is looked at often, and whose GPU is made up: no machine of the tests has one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from platformless.node.monitoring.chain import Pace
from platformless.node.monitoring.gpu import Gpu, Gpus
from platformless.node.monitoring.monitor import Ways
from platformless.node.running import Node
from tests.chain.world import World
from tests.node.world import QUICK, NodeWorld

MIB = 1 << 20
A16 = Gpu(0, "NVIDIA A16", 0.42, 1024 * MIB, 2048 * MIB, 55.0)
NO_GPU: Gpus = ()


@dataclass(frozen=True)
class Observed:
    """A node, and clients of it."""

    nodes: NodeWorld
    node: Node

    @property
    def url(self) -> str:
        return self.node.report.url

    async def get(self, path: str, **headers: str) -> httpx.Response:
        sent = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            return await http.get(f"{self.url}{path}", headers=sent)

    async def json(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((await self.get(path)).text)
        return document

    async def status(self) -> str:
        """What `/health` says."""
        return str((await self.json("/health"))["status"])


def ways(gpus: Gpus = NO_GPU) -> Ways:
    return Ways(
        open_gpus=lambda: lambda: gpus,
        sample_seconds=0.05,
        chain_pace=Pace(head_seconds=0.1, account_seconds=0.1),
    )


@asynccontextmanager
async def observed(
    world: World,
    folder: Path,
    gpus: Gpus = NO_GPU,
    rpc_url: str | None = None,
    **changes: object,
) -> AsyncIterator[Observed]:
    """A node of its own.

    Args:
        rpc_url: Where the node finds the chain, when not where the world does.
    """
    nodes = NodeWorld(world, folder)
    settings = nodes.settings(engine_threads=1, **changes)
    network = world.network if rpc_url is None else replace(world.network, rpc_urls=(rpc_url,))
    async with Node(settings, network, QUICK, nodes.clock_ms, ways(gpus)) as node:
        await nodes.announce(node.report.url)
        yield Observed(nodes, node)
