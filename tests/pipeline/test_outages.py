"""Disk, portal and chain fail for a while or for good: nothing is lost; what waits says why."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import checkpoint_job
from tests.chain.faulty import FaultyNode
from tests.chain.world import World
from tests.storage.faulty_portal import FaultyPortal, says

from .brokers import OwnValkey
from .line import Line
from .stage import changed
from .stand_in import StandInProver

DISK_BYTES = 4 << 20


async def require_goes_on(line: Line, session_id: int, checkpoints: int = 1) -> None:
    """All is well again."""
    await line.end(session_id)
    await line.until_over(session_id)
    await line.require_confirmed(session_id, checkpoints)


async def test_a_portal_that_is_down_for_a_while_is_waited_for(line: Line) -> None:
    session_id = await line.open()
    job_id = checkpoint_job(session_id, 0)
    async with line.running():
        await line.stop_portal()
        await line.record(session_id, checkpoints=2)
        waiting = await line.until_problem(job_id, "STO-252")
        assert waiting.state is JobState.PROVEN
        await line.start_portal()
        await require_goes_on(line, session_id, 2)
    assert (await line.jobs.job(job_id)).problem is None


async def test_a_portal_that_refuses_for_ever_is_waited_for_and_its_code_is_shown(
    world: World, valkey_server: OwnValkey, tmp_path: Path
) -> None:
    rules = changed(most_failures=1)
    async with (
        FaultyPortal() as portal,
        Line(world, tmp_path, valkey_server.url, portal_url=portal.url, rules=rules) as line,
        line.running(),
    ):
        portal.fault = says("no room for you", 403)
        session_id = await line.open()
        await line.record(session_id)
        job_id = checkpoint_job(session_id, 0)

        async def has_failed_often() -> bool:
            return (await line.jobs.job(job_id)).failures > 5

        await line.until(has_failed_often)
        job = await line.jobs.job(job_id)
        assert job.state is JobState.PROVEN
        assert job.problem is not None
        assert job.problem.code == "STO-252"
        assert "no room for you" in job.problem.message
        portal.fault = None
        await require_goes_on(line, session_id)


async def test_a_chain_that_is_down_for_a_while_is_waited_for(
    world: World, valkey_server: OwnValkey, tmp_path: Path
) -> None:
    async with (
        FaultyNode(world.dev_chain.rpc_url) as relay,
        Line(world, tmp_path, valkey_server.url, rpc_url=relay.url) as line,
        line.running(watch=True),
    ):
        session_id = await line.open()
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
        await relay.shut()
        await line.record(session_id)
        waiting = await line.until_problem(checkpoint_job(session_id, 1), "CHN-101")
        assert waiting.state is JobState.PROVEN  # the chain is asked before anything is published
        await relay.open()
        await require_goes_on(line, session_id, 2)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    options = f"size={DISK_BYTES}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only who may mount can fill a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def fill(disk: Path) -> Path:
    """Leaves no byte."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return path


@pytest.fixture
async def on_disk(
    world: World, valkey_server: OwnValkey, tmp_path: Path, disk: Path
) -> AsyncIterator[Line]:
    """A line whose ledger is on the small disk."""
    url = f"sqlite:///{disk / 'ledger.db'}"
    async with Line(world, tmp_path, valkey_server.url, url) as line:
        yield line


async def test_a_ledger_whose_disk_is_full_goes_on_when_there_is_room(
    on_disk: Line, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = on_disk
    session_id = await line.open()
    prover = StandInProver(seconds=0.1)
    async with line.running(prover, watch=True):
        await line.record(session_id, checkpoints=3)
        await line.until_state(checkpoint_job(session_id, 0), JobState.PROVING, JobState.PROVEN)
        filler = fill(disk)

        async def is_complained_of() -> bool:
            return sum("LED-001" in record.getMessage() for record in caplog.records) > 5

        await line.until(is_complained_of)
        filler.unlink()
        await require_goes_on(line, session_id, 3)


async def test_a_publication_folder_whose_disk_is_full_is_waited_for(
    line: Line, disk: Path
) -> None:
    session_id = await line.open()
    job_id = checkpoint_job(session_id, 0)
    filler = fill(disk)
    async with line.settling(publication=disk / "publication"), line.proving():
        await line.record(session_id)
        waiting = await line.until_problem(job_id, "PLA-000")
        assert waiting.state is JobState.PROVEN
        assert waiting.problem is not None
        assert "No space left on device" in waiting.problem.message
        filler.unlink()
        await require_goes_on(line, session_id)
