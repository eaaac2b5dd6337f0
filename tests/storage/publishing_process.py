"""A process that publishes checkpoints and is killed: `python -m … PORTAL-URL FOLDER COUNT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from platformless.protocol.host_key import LocalKey
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portals import Portals
from platformless.storage.publication import CheckpointPublisher
from tests.unit.test_publication import HOST_KEY, checkpoint


async def main(url: str, folder: Path, count: int) -> None:
    async with Portals([PortalClient(ClientSettings(url))]) as portals:
        publisher = CheckpointPublisher(folder, LocalKey(HOST_KEY), portals)
        for number in range(count):
            await publisher.publish(checkpoint(number))
            print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
