"""Client of NodeRegistry: who hosts are, what they serve and for how much."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol.digests import Address, ModelId
from .connection import Chain, ContractCall
from .contract import ContractClient
from .money import Amount, Price, Token


@dataclass(frozen=True, slots=True)
class Host:
    """A registered host."""

    address: Address
    stake: Amount
    active: bool
    metadata: str
    """JSON by convention; not checked."""
    api_url: str
    models: tuple[ModelId, ...]


@dataclass(frozen=True, slots=True)
class PriceBounds:
    """Prices that the registry accepts for a token."""

    lowest: Price
    highest: Price


class NodeRegistry(ContractClient):
    """The hosts of a network."""

    CONTRACT = "NodeRegistry"

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain, chain.network.node_registry)

    async def host(self, address: Address) -> Host | None:
        """None when the address is not registered."""
        operator, stake, active, metadata, api_url, models, _, _ = await self._read(
            "getNodeFullInfo", address
        )
        if Address.from_hex(operator).is_zero:
            return None
        return Host(
            address=Address.from_hex(operator),
            stake=Amount(stake, self.chain.network.fab),
            active=active,
            metadata=metadata,
            api_url=api_url,
            models=tuple(ModelId(value) for value in models),
        )

    async def active_hosts(self) -> list[Address]:
        return [Address.from_hex(value) for value in await self._read("getAllActiveNodes")]

    async def hosts_of(self, model_id: ModelId) -> list[Address]:
        """The hosts that list a model."""
        return [Address.from_hex(value) for value in await self._read("getNodesForModel", model_id)]

    async def price(self, host: Address, model_id: ModelId, token: Token) -> Price:
        """What the host asks for a model at least.

        Raises:
            PriceRefused: when the host has no price for this model in this token.
        """
        return Price(await self._read("getModelPricing", host, model_id, token.address), token)

    async def price_if_set(self, host: Address, model_id: ModelId, token: Token) -> Price | None:
        """As `price`, also for an account that is no host now: prices outlive a registration."""
        found = await self._read("modelTokenPricing", host, model_id, token.address)
        return Price(found, token) if found else None

    async def required_stake(self) -> Amount:
        return Amount(await self._read("MIN_STAKE"), self.chain.network.fab)

    async def price_bounds(self, token: Token) -> PriceBounds:
        kind = "NATIVE" if token.is_native else "STABLE"
        return PriceBounds(
            Price(await self._read(f"MIN_PRICE_PER_TOKEN_{kind}"), token),
            Price(await self._read(f"MAX_PRICE_PER_TOKEN_{kind}"), token),
        )

    def register(
        self,
        *,
        metadata: str,
        api_url: str,
        models: tuple[ModelId, ...],
        native_price: Price,
        stable_price: Price,
    ) -> ContractCall:
        """Registers the caller, taking the required stake, which must be approved first. The two
        prices are kept for old readers: sessions need `set_price` for every model and token."""
        return self._write(
            "registerNode",
            metadata,
            api_url,
            models,
            native_price.per_thousand_tokens,
            stable_price.per_thousand_tokens,
            about=api_url,
        )

    def unregister(self) -> ContractCall:
        """Ends the caller's registration; its stake comes back at once."""
        return self._write("unregisterNode")

    def set_price(self, model_id: ModelId, price: Price) -> ContractCall:
        """What the caller asks for a model in the price's token."""
        return self._write(
            "setModelTokenPricing",
            model_id,
            price.token.address,
            price.per_thousand_tokens,
            about=f"{model_id}, {price}",
        )

    def clear_price(self, model_id: ModelId, token: Token) -> ContractCall:
        """The caller no longer takes this token for the model."""
        return self._write(
            "clearModelTokenPricing", model_id, token.address, about=f"{model_id}, {token}"
        )

    def set_models(self, models: tuple[ModelId, ...]) -> ContractCall:
        """Replaces the caller's list of models; prices stay."""
        return self._write("updateSupportedModels", models, about=f"{len(models)} models")

    def set_api_url(self, api_url: str) -> ContractCall:
        return self._write("updateApiUrl", api_url, about=api_url)

    def set_metadata(self, metadata: str) -> ContractCall:
        return self._write("updateMetadata", metadata, about=f"{len(metadata)} characters")

    def add_stake(self, amount: Amount) -> ContractCall:
        """Adds to the caller's stake; must be approved first."""
        return self._write("stake", amount.units, about=amount)

    def slash(
        self, host: Address, amount: Amount, *, evidence_cid: str, reason: str
    ) -> ContractCall:
        """Takes a part of a host's stake; by the slashing authority."""
        return self._write(
            "slashStake", host, amount.units, evidence_cid, reason, about=f"{amount} of {host}"
        )
