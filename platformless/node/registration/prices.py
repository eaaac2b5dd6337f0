"""The prices of a plan: one for each model and token. All of it is pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...chain.money import Price, Token
from ...chain.node_registry import NodeRegistry
from ...protocol.digests import ModelId
from .asked import AskedPrices, default_price, price_text, require_own_models
from .errors import PriceRefused
from .facts import OnChain, Pair
from .journal import Earlier
from .steps import Step, price_step


def wanted_prices(
    models: Sequence[ModelId], asked: Iterable[AskedPrices], found: OnChain
) -> dict[Pair, Price]:
    """A price for every model in every token.

    Raises:
        PriceRefused
    """
    wanted = {}
    for prices in asked:
        require_own_models(prices, models)
        for model in models:
            price = prices.of(model) or default_price(prices.token)
            wanted[model, prices.token.address] = in_bounds(price, found)
    return wanted


def in_bounds(price: Price, found: OnChain) -> Price:
    """Raises:
    PriceRefused: when the registry does not take the price.
    """
    bounds = found.bounds[price.token.address]
    lowest, highest = bounds.lowest, bounds.highest
    units = price.per_thousand_tokens
    if not lowest.per_thousand_tokens <= units <= highest.per_thousand_tokens:
        raise PriceRefused(
            "the registry does not take this price",
            expected=f"{price_text(lowest)} to {price_text(highest)} per million tokens",
            got=price_text(price),
        )
    return price


def lowest_in(wanted: dict[Pair, Price], token: Token) -> Price:
    """The price that old readers are shown for the whole host."""
    in_token = (price for (_, address), price in wanted.items() if address == token.address)
    return min(in_token, key=lambda price: price.per_thousand_tokens)


def unfinished(wanted: dict[Pair, Price], found: OnChain, earlier: Earlier) -> list[Pair]:
    """Of a registration's prices those that it has not set yet: missing ones, and others left by
    an earlier registration, which this machine's journal tells from prices changed since."""
    return [
        pair
        for pair, price in wanted.items()
        if pair not in found.prices
        or (found.prices[pair] != price and earlier.is_own and pair not in earlier.priced)
    ]


def price_steps(
    pairs: Iterable[Pair],
    prices: dict[Pair, Price],
    found: OnChain,
    registry: NodeRegistry,
    stage: int,
) -> list[Step]:
    """A transaction for each pair."""
    return [
        Step(
            price_step(pair),
            stage,
            registry.set_price(pair[0], prices[pair]),
            f"{found.name_of(pair[0])}: {price_text(prices[pair])} per million tokens",
        )
        for pair in pairs
    ]
