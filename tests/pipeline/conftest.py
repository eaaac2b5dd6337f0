"""One chain and one broker for all tests of the pipeline; each test has a ledger, a portal and
queues of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from platformless.chain.devchain import DevChain
from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.faulty import FaultyNode
from tests.chain.world import World
from tests.services.fixtures import postgresql as postgresql
from tests.services.fixtures import postgresql_url as postgresql_url
from tests.services.fixtures import rabbitmq as rabbitmq
from tests.services.fixtures import rabbitmq_url as rabbitmq_url
from tests.services.fixtures import redis_server as redis_server
from tests.services.fixtures import redis_url as redis_url

from .brokers import OwnValkey
from .line import Line


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnValkey]:
    """The embedded broker."""
    with OwnValkey(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture
async def world(dev_chain: DevChain, tmp_path: Path) -> AsyncIterator[World]:
    async with World(dev_chain, tmp_path) as world:
        yield world


@pytest.fixture
async def line(world: World, valkey_server: OwnValkey, tmp_path: Path) -> AsyncIterator[Line]:
    """Over SQLite and the embedded broker."""
    async with Line(world, tmp_path, valkey_server.url) as line:
        yield line


@pytest.fixture
async def relay(world: World) -> AsyncIterator[FaultyNode]:
    async with FaultyNode(world.dev_chain.rpc_url) as relay:
        yield relay


@pytest.fixture
async def relayed(
    world: World, relay: FaultyNode, valkey_server: OwnValkey, tmp_path: Path
) -> AsyncIterator[Line]:
    """A line that reaches the chain through a relay."""
    async with Line(world, tmp_path, valkey_server.url, rpc_url=relay.url) as line:
        yield line
