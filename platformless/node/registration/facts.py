"""What the chain says about an account and the models that it serves, or would serve."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...chain.connection import Chain
from ...chain.errors import RpcRefused
from ...chain.model_registry import ModelRegistry, RegisteredModel
from ...chain.money import NATIVE, Amount, Price, Token
from ...chain.networks import Network
from ...chain.node_registry import Host, NodeRegistry, PriceBounds
from ...chain.token import Erc20
from ...protocol.digests import Address, ModelId

Pair = tuple[ModelId, Address]
"""A model, and the token that it is paid in: what has a price."""

_DEV_CHAINS = ("anvil", "hardhat")


@dataclass(frozen=True, slots=True)
class OnChain:
    """One reading. Values that belong together are read one after another: a change in between
    makes the contract refuse, nothing worse."""

    network: Network
    account: Address
    is_dev_chain: bool
    host: Host | None
    required_stake: Amount
    fab: Amount
    """What the account has, besides its stake."""
    allowance: Amount
    """FAB that the registry may take from the account."""
    eth: Amount
    bounds: Mapping[Address, PriceBounds]
    """By token."""
    models: Mapping[ModelId, RegisteredModel | None]
    """Those asked for and those of the host; None: not known to the registry."""
    prices: Mapping[Pair, Price]
    """The account's, as far as they are set."""

    @property
    def tokens(self) -> tuple[Token, Token]:
        """In what models have prices."""
        return tokens_of(self.network)

    def is_approved(self, model: ModelId) -> bool:
        known = self.models.get(model)
        return known is not None and known.approved

    def name_of(self, model: ModelId) -> str:
        """`OWNER/NAME/FILE`; the id of a model that is not known."""
        known = self.models.get(model)
        return f"{known.file.repository}/{known.file.file_name}" if known else str(model)


def tokens_of(network: Network) -> tuple[Token, Token]:
    """USDC and the native coin."""
    return network.usdc, NATIVE


async def read_chain(chain: Chain, account: Address, models: Iterable[ModelId] = ()) -> OnChain:
    """Reads everything about an account, its models and `models`.

    Raises:
        ChainError
    """
    network = chain.network
    registry, fab = NodeRegistry(chain), Erc20(chain, network.fab)
    host = await registry.host(account)
    wanted = list(dict.fromkeys([*models, *(host.models if host else ())]))
    tokens = tokens_of(network)
    pairs = [(model, token) for model in wanted for token in tokens]
    known, prices, bounds = await asyncio.gather(
        asyncio.gather(*(ModelRegistry(chain).model(model) for model in wanted)),
        asyncio.gather(*(registry.price_if_set(account, model, token) for model, token in pairs)),
        asyncio.gather(*(registry.price_bounds(token) for token in tokens)),
    )
    stake, balance, allowance, wei = await asyncio.gather(
        registry.required_stake(),
        fab.balance(account),
        fab.allowance(account, network.node_registry),
        chain.balance(account),
    )
    return OnChain(
        network=network,
        account=account,
        is_dev_chain=await _is_dev_chain(chain),
        host=host,
        required_stake=stake,
        fab=balance,
        allowance=allowance,
        eth=Amount(wei, NATIVE),
        bounds={token.address: found for token, found in zip(tokens, bounds, strict=True)},
        models=dict(zip(wanted, known, strict=True)),
        prices={
            (model, token.address): price
            for (model, token), price in zip(pairs, prices, strict=True)
            if price is not None
        },
    )


async def _is_dev_chain(chain: Chain) -> bool:
    """By what its node calls itself: addresses and ids may be those of a chain for everybody."""
    try:
        version = await chain.command("web3_clientVersion")
    except RpcRefused:
        return False
    return str(version).lower().startswith(_DEV_CHAINS)
