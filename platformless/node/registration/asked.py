"""What an operator asks for: values, and how they are read from a command line. All of it is pure.

Prices are named in whole coins per million tokens; the contract's unit is base units per thousand
tokens (`money.Price`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation, localcontext
from types import MappingProxyType

from ...chain.money import Price, Token
from ...protocol.digests import ModelId, keccak256
from ...protocol.errors import ProtocolError
from ...protocol.words import U256_MAX
from .errors import DetailRefused, ModelsRefused, NameRefused, PriceRefused

LONGEST_NAME = 100
MOST_MODELS = 32
_LONGEST_LOCATION = 100
_MOST_AT_ONCE = 10_000
_THOUSANDS_IN_A_MILLION = 1000
_TIER = re.compile(r"[a-z][a-z0-9-]{0,31}")
_NAME_PARTS = 3
_EXACT_DIGITS = 120

USDC_PER_MILLION = Decimal(10)
"""What a host asks that names no price: `TOKEN_PRICING_USDC` of older nodes."""
ETH_PER_MILLION = Decimal("0.002272727273")
"""The same 10 USD, at the 4,400 USD for an ETH that the registry's bounds were made for. The
default of older nodes, 2,272,727,273 of the contract's units, is a thousandth of it: it was made
before prices were for a thousand tokens."""


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model as the operator named it."""

    id: ModelId
    text: str


@dataclass(frozen=True, slots=True)
class AskedPrices:
    """Prices in one token: one for all models, others for some. None: nothing was asked."""

    token: Token
    for_all: Price | None = None
    for_model: Mapping[ModelId, Price] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_empty(self) -> bool:
        return self.for_all is None and not self.for_model

    def of(self, model: ModelId) -> Price | None:
        return self.for_model.get(model, self.for_all)

    def on(self, token: Token) -> AskedPrices:
        """The same prices in another chain's token of the same decimals."""
        for_all = None if self.for_all is None else Price(self.for_all.per_thousand_tokens, token)
        for_model = {
            model: Price(price.per_thousand_tokens, token)
            for model, price in self.for_model.items()
        }
        return AskedPrices(token, for_all, MappingProxyType(for_model))


@dataclass(frozen=True, slots=True)
class Details:
    """What metadata says besides what is found on the machine. None: nothing was asked."""

    name: str | None = None
    performance_tier: str | None = None
    location: str | None = None
    max_concurrent: int | None = None
    """Answers at once."""

    @property
    def is_empty(self) -> bool:
        return self == Details()


def default_price(token: Token) -> Price:
    """What is asked in a token when no price is named."""
    return price_per_million(ETH_PER_MILLION if token.is_native else USDC_PER_MILLION, token)


def price_per_million(coins: Decimal, token: Token) -> Price:
    """Raises:
    PriceRefused: when the contract's unit cannot say it.
    """
    with localcontext(prec=_EXACT_DIGITS):
        units = coins.scaleb(token.decimals) / _THOUSANDS_IN_A_MILLION
        is_exact = units == units.to_integral_value()
    if not is_exact or not 0 < units <= U256_MAX:
        raise PriceRefused(
            f"no price in {token}",
            expected=f"a multiple of {price_text(Price(1, token))} per million tokens",
            got=coins,
        )
    return Price(int(units), token)


def price_text(price: Price) -> str:
    """`10 USDC`: the price of a million tokens."""
    coins = Decimal(price.per_thousand_tokens) * _THOUSANDS_IN_A_MILLION
    text = f"{coins.scaleb(-price.token.decimals):f}"
    digits = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{digits} {price.token}"


def read_models(text: str) -> tuple[AskedModel, ...]:
    """The models of `0x…,OWNER/NAME/FILE.gguf`, each once.

    Raises:
        ModelsRefused: when there is none, or one is neither an id nor such a name.
    """
    found: dict[ModelId, str] = {}
    for part in text.split(","):
        name = part.strip()
        if name:
            found.setdefault(model_id(name), name)
    if not found:
        raise ModelsRefused("no models", expected="ids or names, with commas", got=repr(text))
    if len(found) > MOST_MODELS:
        raise ModelsRefused("too many models", expected=f"at most {MOST_MODELS}", got=len(found))
    return tuple(AskedModel(identity, name) for identity, name in found.items())


def model_id(name: str) -> ModelId:
    """The id of a model that is named by id, or by repository and file.

    Raises:
        ModelsRefused
    """
    if name[:2] in ("0x", "0X"):
        try:
            return ModelId.from_hex(name)
        except ProtocolError:
            pass
    elif name.count("/") == _NAME_PARTS - 1 and all(name.split("/")) and name.isprintable():
        return ModelId(keccak256(name.encode()))
    raise ModelsRefused(
        "no name of a model",
        expected="0x and 64 hex digits, or OWNER/NAME/FILE.gguf",
        got=repr(name[:200]),
    )


def read_prices(texts: Sequence[str], token: Token) -> AskedPrices:
    """Prices in one token, each `10` for all models or `MODEL=12.5` for one.

    Raises:
        PriceRefused: for what is no price, or said twice.
        ModelsRefused: for what is no model.
    """
    for_all: Price | None = None
    for_model: dict[ModelId, Price] = {}
    for text in texts:
        name, has_model, number = text.rpartition("=")
        price = price_per_million(_number(number, token), token)
        if not has_model:
            if for_all is not None:
                raise PriceRefused(f"two prices in {token} for all models", got=", ".join(texts))
            for_all = price
            continue
        model = model_id(name.strip())
        if model in for_model:
            raise PriceRefused(f"two prices in {token} for one model", got=name.strip())
        for_model[model] = price
    return AskedPrices(token, for_all, MappingProxyType(for_model))


def require_own_models(prices: AskedPrices, models: Sequence[ModelId]) -> None:
    """Raises:
    PriceRefused: when a price is for a model that is not the host's.
    """
    foreign = [model for model in prices.for_model if model not in models]
    if foreign:
        raise PriceRefused(
            f"a price in {prices.token} for a model that is not registered",
            expected=", ".join(map(str, models)),
            got=", ".join(map(str, foreign)),
        )


def read_details(
    name: str | None, tier: str | None, location: str | None, max_concurrent: int | None
) -> Details:
    """Raises:
    NameRefused, DetailRefused
    """
    if name is not None:
        name = name.strip()
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise NameRefused(
                "no name of a host",
                expected=f"1 to {LONGEST_NAME} printable characters",
                got=repr(name[: 2 * LONGEST_NAME]),
            )
    if tier is not None and not _TIER.fullmatch(tier):
        raise DetailRefused(
            "no performance tier",
            expected="a word of lower-case letters, such as standard",
            got=repr(tier[:100]),
        )
    if location is not None:
        location = location.strip()
        if not 0 < len(location) <= _LONGEST_LOCATION or not location.isprintable():
            raise DetailRefused(
                "no location",
                expected=f"1 to {_LONGEST_LOCATION} printable characters",
                got=repr(location[: 2 * _LONGEST_LOCATION]),
            )
    if max_concurrent is not None and not 0 < max_concurrent <= _MOST_AT_ONCE:
        raise DetailRefused(
            "no number of answers at once", expected=f"1 to {_MOST_AT_ONCE}", got=max_concurrent
        )
    return Details(name, tier, location, max_concurrent)


def _number(text: str, token: Token) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise PriceRefused(f"no price in {token}", expected="a number above 0", got=repr(text[:80]))
    return number
