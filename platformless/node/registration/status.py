"""What is registered, and whether clients can use it."""

from __future__ import annotations

from dataclasses import dataclass

from ...chain.host_metadata import key_in_metadata, named_key
from ...chain.money import Amount, Price
from ...chain.networks import Network
from ...protocol.digests import Address, ModelId
from .chains import connected
from .facts import OnChain, read_chain
from .metadata import name_in

OWN_KEY, OTHER_KEY, NO_KEY = "own", "another", "none"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model of a host."""

    id: ModelId
    name: str
    """`OWNER/NAME/FILE`; the id of a model that the registry does not know."""
    is_approved: bool
    usdc: Price | None
    eth: Price | None


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A registration, as anybody can read it."""

    name: str | None
    api_url: str
    models: tuple[ModelStatus, ...]
    is_active: bool
    stake: Amount
    required_stake: Amount
    public_key: str
    """Whose key the metadata names: this account's `own`, `another`, or `none`."""
    metadata: str

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps clients away."""
        found = []
        if not self.is_active:
            found.append("the host is not active: no session can be opened")
        if self.stake < self.required_stake:
            found.append(f"the stake is below {self.required_stake}: it was slashed")
        if self.public_key == OTHER_KEY:
            found.append("the public key is another account's: clients cannot reach this host")
        elif self.public_key == NO_KEY:
            found.append("the metadata has no public key: clients must ask the host for it")
        for model in self.models:
            if not model.is_approved:
                found.append(f"{model.name} is not approved")
            if model.usdc is None:
                found.append(f"{model.name} has no price in USDC: most clients do not find it")
            if model.eth is None:
                found.append(f"{model.name} has no price in ETH")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """An account on a chain; `host` is None when it is not registered."""

    chain_id: int
    account: Address
    host: HostStatus | None


async def read_status(network: Network, account: Address) -> ChainStatus:
    """Raises:
    ChainError
    """
    async with connected(network) as chain:
        return status_of(await read_chain(chain, account))


def status_of(found: OnChain) -> ChainStatus:
    """What was read, as an operator wants to know it."""
    host = found.host
    if host is None:
        return ChainStatus(found.network.chain_id, found.account, None)
    usdc, eth = found.tokens
    own = key_in_metadata(host.metadata, host.address) is not None
    models = tuple(
        ModelStatus(
            id=model,
            name=found.name_of(model),
            is_approved=found.is_approved(model),
            usdc=found.prices.get((model, usdc.address)),
            eth=found.prices.get((model, eth.address)),
        )
        for model in host.models
    )
    status = HostStatus(
        name=name_in(host.metadata),
        api_url=host.api_url,
        models=models,
        is_active=host.active,
        stake=host.stake,
        required_stake=found.required_stake,
        public_key=OWN_KEY if own else OTHER_KEY if named_key(host.metadata) else NO_KEY,
        metadata=host.metadata,
    )
    return ChainStatus(found.network.chain_id, found.account, status)
