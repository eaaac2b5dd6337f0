"""Publishing processes that are killed, and two that publish the same session at once."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from platformless.protocol import delta as deltas
from platformless.protocol import index as indexes
from platformless.protocol.delta import SealedDelta
from platformless.protocol.host_key import LocalKey
from platformless.storage.cids import BlobId
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portals import Portals
from platformless.storage.publication import CheckpointPublisher
from tests.unit.test_publication import CLIENT_KEY, HOST_KEY, checkpoint

ROOT = Path(__file__).parents[2]
COUNT = 12
KILLS = 5


async def start(portal: EmbeddedPortal, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.storage.publishing_process",
        portal.url,
        str(folder),
        str(COUNT),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )


async def require_everything(portal: EmbeddedPortal, folder: Path) -> None:
    """Every checkpoint is in the index, and everything that the index names can be had."""
    async with Portals([PortalClient(ClientSettings(portal.url))]) as portals:
        signed = CheckpointPublisher(folder, LocalKey(HOST_KEY), portals).index(7)
        assert signed is not None
        published = await portals.get(BlobId.of(signed.encode()), largest_bytes=1 << 20)
        assert indexes.decode(published) == signed
        assert [entry.checkpoint for entry in signed.index.entries] == list(range(COUNT))
        for entry in signed.index.entries:
            data = await portals.get(BlobId.parse(entry.delta_cid), largest_bytes=1 << 20)
            sealed = deltas.decode(data)
            assert isinstance(sealed, SealedDelta)
            assert sealed.open(CLIENT_KEY).delta == checkpoint(entry.checkpoint).delta
            bundle = await portals.get(BlobId.parse(entry.proof_cid), largest_bytes=1 << 20)
            assert bundle == checkpoint(entry.checkpoint).bundle


async def test_a_publisher_killed_again_and_again_loses_nothing(
    portal: EmbeddedPortal, tmp_path: Path
) -> None:
    chance = random.Random(7)
    folder = tmp_path / "checkpoints"
    for _ in range(KILLS):
        process = await start(portal, folder)
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 5)):
            await process.stdout.readline()
        await asyncio.sleep(chance.uniform(0, 0.02))
        if process.returncode is None:
            process.kill()
        await process.communicate()
    last = await start(portal, folder)
    await last.communicate()
    assert last.returncode == 0
    await require_everything(portal, folder)


async def test_two_processes_publish_one_session_together(
    portal: EmbeddedPortal, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints"
    processes = [await start(portal, folder) for _ in range(2)]
    for process in processes:
        await process.communicate()
        assert process.returncode == 0
    await require_everything(portal, folder)
