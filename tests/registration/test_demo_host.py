"""The demo's host is registered as an operator's is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from platformless.chain.devchain import start_dev_chain
from platformless.node.demo.marketplace import register_host
from platformless.node.registration.status import read_status
from platformless.protocol.digests import Address


def test_the_demo_registers_its_host_once(tmp_path: Path) -> None:
    async def run() -> None:
        with await start_dev_chain() as dev_chain:
            await register_host(dev_chain, "http://127.0.0.1:8080", tmp_path)
            account = Address.from_hex(dev_chain.accounts["host"].address)
            status = await read_status(dev_chain.network, account)
        assert status.host is not None
        assert (status.host.name, status.host.problems) == ("demo", ())
        [model] = status.host.models
        assert model.usdc is not None
        assert model.usdc.per_thousand_tokens == 5_000

    asyncio.run(run())
