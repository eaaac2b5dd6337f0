"""Nodes over one dev chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platformless.chain.devchain import DevChain
from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.world import World

from .world import NodeWorld


@pytest.fixture
async def world(dev_chain: DevChain, tmp_path: Path) -> AsyncIterator[World]:
    async with World(dev_chain, tmp_path) as world:
        yield world


@pytest.fixture
def nodes(world: World, tmp_path: Path) -> NodeWorld:
    return NodeWorld(world, tmp_path)
