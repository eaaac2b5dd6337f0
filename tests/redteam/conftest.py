"""One chain and one portal; every attack begins where nothing has happened yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from platformless.audit.session import samples
from platformless.chain.devchain import DevChain
from platformless.storage.portal.running import EmbeddedPortal
from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.faulty import FaultyNode
from tests.chain.world import World
from tests.sampled_cells import StandIn
from tests.storage.conftest import portal as portal
from tests.storage.faulty_portal import FaultyPortal

from .scene import Scene
from .stage import Stage


class Beginning:
    """A snapshot of the chain with a registered host and no session."""

    snapshot: str | None = None


@pytest.fixture(scope="session")
def beginning() -> Iterator[Beginning]:
    yield Beginning()


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof of all kinds of cells takes minutes: receipts of sampled cells, and no others, are
    checked by a stand-in. Everything else here is real."""
    monkeypatch.setattr(samples, "released_verifier", StandIn)


@pytest.fixture
async def stage(
    dev_chain: DevChain, portal: EmbeddedPortal, beginning: Beginning, tmp_path: Path
) -> AsyncIterator[Stage]:
    if beginning.snapshot is not None:
        async with World(dev_chain, tmp_path) as world:
            await world.chain.command("evm_revert", beginning.snapshot)
    (tmp_path / "begun").mkdir()
    async with World(dev_chain, tmp_path / "begun") as world:
        beginning.snapshot = await world.chain.command("evm_snapshot")
        yield Stage(world, portal, tmp_path)


@pytest.fixture
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    async with FaultyNode(stage.world.dev_chain.rpc_url) as node, FaultyPortal() as liar:
        yield Scene(stage, node, liar)
