"""The options with which commands name a chain: a network, a `.env`, RPC addresses."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values

from ..chain.networks import BASE_SEPOLIA, Network, network_from, network_named
from ..console import BadInput
from ..protocol.digests import Address

NetworkName = Annotated[str, typer.Option("--network", help="Deployment whose addresses are used.")]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", help="Addresses and RPC_URL from a .env; they replace others."),
]
RpcUrls = Annotated[
    list[str] | None, typer.Option("--rpc-url", help="RPC address; may be given several times.")
]
MarketplaceAddress = Annotated[
    str | None, typer.Option("--marketplace", help="Address of JobMarketplace.")
]
DEFAULT_NETWORK = BASE_SEPOLIA.name


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """What was given. Later ones win: network, environment, `.env`, single addresses."""

    network: str
    env_file: Path | None
    rpc_urls: tuple[str, ...]
    marketplace: str | None = None

    def resolve(self) -> Network:
        """Raises:
        UnknownName, ValueOutOfRange: for a network or an address that is none.
        BadInput: when the `.env` cannot be read.
        """
        environment = dict(os.environ)
        if self.env_file is not None:
            if not self.env_file.is_file():
                raise BadInput(f"cannot read {self.env_file}", expected="a .env file")
            given = dotenv_values(self.env_file, interpolate=False)
            environment |= {name: value for name, value in given.items() if value is not None}
        network = network_from(environment, network_named(self.network))
        if self.marketplace is not None:
            network = replace(network, marketplace=Address.from_hex(self.marketplace))
        return replace(network, rpc_urls=self.rpc_urls) if self.rpc_urls else network
