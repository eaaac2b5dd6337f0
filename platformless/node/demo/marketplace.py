"""The marketplace of a demo: a dev chain on which one host is registered."""

from __future__ import annotations

from pathlib import Path

from ... import __version__
from ...chain.devchain import DevChain
from ...chain.money import NATIVE, Price
from ...chain.sending.settings import SenderSettings
from ...protocol.host_key import LocalKey
from ..registration.api_url import read_api_url
from ..registration.asked import AskedModel, AskedPrices, Details
from ..registration.carrying_out import do
from ..registration.hardware import find_hardware
from ..registration.metadata import Machine
from ..registration.operator import Operator
from ..registration.plan import Registration
from ..registration.served_file import served_file

USDC_PRICE = 5_000
"""Units of USDC for a thousand tokens, times the contract's precision of 1,000."""
NATIVE_PRICE = 10_000_000
QUICKLY = SenderSettings(confirmations=1, poll_seconds=0.05)


async def register_host(dev_chain: DevChain, api_url: str, folder: Path) -> None:
    """Registers the account `host` for the test model, with prices, address and public key.

    Args:
        folder: The demo's; the node's outbox is in it.
    """
    key = LocalKey(bytes(dev_chain.accounts["host"].key))
    usdc, model = dev_chain.network.usdc, dev_chain.model
    registration = Registration(
        details=Details(name="demo", performance_tier="standard"),
        api_url=read_api_url(api_url),
        models=(AskedModel(model.id, f"{model.repository}/{model.file_name}"),),
        usdc=AskedPrices(usdc, Price(USDC_PRICE, usdc)),
        eth=AskedPrices(NATIVE, Price(NATIVE_PRICE, NATIVE)),
        machine=Machine(__version__, find_hardware(), key.public_key),
        served=served_file(None),
    )
    operator = Operator(key, folder / "node" / "outbox.db", QUICKLY)
    await do(operator, dev_chain.network, registration)
