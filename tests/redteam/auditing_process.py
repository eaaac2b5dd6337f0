"""An audit in a process of its own, which tells how much memory it took: JSON in, JSON out."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from platformless.audit.session import audit_session
from platformless.chain.connection import Chain
from platformless.chain.networks import network_from
from platformless.errors import PlatformlessError
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portals import Portals
from tests.data.make_recovery import SESSION_ID

from .stage import BRIEF_PORTALS, BRIEF_RPC, BRIEF_WIRE


async def audited(job: dict[str, Any]) -> str:
    network = network_from(job["environment"])
    client = PortalClient(ClientSettings(job["portal"], wire=BRIEF_WIRE))
    async with (
        Chain(network, rpc_urls=(job["rpc_url"],), settings=BRIEF_RPC) as chain,
        Portals([client], BRIEF_PORTALS) as portals,
    ):
        try:
            return (await audit_session(chain, portals, SESSION_ID)).outcome
        except PlatformlessError as error:
            return error.code


def main() -> None:
    outcome = asyncio.run(audited(json.load(sys.stdin)))
    status = Path("/proc/self/status").read_text()
    peak_mib = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    print(json.dumps({"outcome": outcome, "peak_mib": peak_mib}))


if __name__ == "__main__":
    main()
