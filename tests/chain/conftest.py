"""Real chains: one with the marketplace for all tests, and bare ones for what disturbs a chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from platformless.chain.devchain import DevChain, start_dev_chain

from .bare import BareChain
from .world import World


@pytest.fixture(scope="session")
def dev_chain() -> Iterator[DevChain]:
    """A chain with the marketplace. Tests share it: they open sessions of their own."""
    with asyncio.run(start_dev_chain()) as chain:
        yield chain


@pytest.fixture
async def world(dev_chain: DevChain, tmp_path: Path) -> AsyncIterator[World]:
    async with World(dev_chain, tmp_path) as world:
        yield world


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[BareChain]:
    """A chain without contracts and without a clock: blocks come only when asked for."""
    async with BareChain(tmp_path) as chain:
        yield chain
