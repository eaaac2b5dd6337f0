"""The marketplace of a demo: a dev chain on which one host is registered."""

from __future__ import annotations

import json
from pathlib import Path

from ...chain.connection import Chain
from ...chain.devchain import DevChain
from ...chain.money import NATIVE, Price
from ...chain.node_registry import NodeRegistry
from ...chain.sending.sender import TransactionSender
from ...chain.sending.settings import SenderSettings
from ...chain.token import Erc20
from ...protocol.secrecy import PublicKeyBytes

USDC_PRICE = 5_000
"""Units of USDC for a thousand tokens, times the contract's precision of 1,000."""
NATIVE_PRICE = 10_000_000
QUICKLY = SenderSettings(confirmations=1, poll_seconds=0.05)


async def register_host(dev_chain: DevChain, api_url: str, folder: Path) -> None:
    """Registers the account `host` for the test model, with prices, address and public key."""
    account = dev_chain.accounts["host"]
    public_key = PublicKeyBytes.of(bytes(account.key))
    metadata = json.dumps({"name": "demo", "publicKey": public_key.value.hex()})
    async with Chain(dev_chain.network) as chain:
        registry, fab = NodeRegistry(chain), Erc20(chain, dev_chain.network.fab)
        usdc_price = Price(USDC_PRICE, dev_chain.network.usdc)
        native_price = Price(NATIVE_PRICE, NATIVE)
        model = dev_chain.model.id
        stake = await registry.required_stake()
        calls = [
            fab.approve(dev_chain.network.node_registry, stake),
            registry.register(
                metadata=metadata,
                api_url=api_url,
                models=(model,),
                native_price=native_price,
                stable_price=usdc_price,
            ),
            registry.set_price(model, native_price),
            registry.set_price(model, usdc_price),
        ]
        outbox = folder / "registration.db"
        async with TransactionSender(chain, account, outbox, QUICKLY) as sender:
            for number, call in enumerate(calls):
                await sender.send(f"registration {number}", call)
