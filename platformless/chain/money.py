"""Amounts and prices, each with its token.

A price is what the contract calls `pricePerToken`: base units of the payment token for
`PRICE_PRECISION` = 1000 model tokens. Every division rounds down, as the contract's do.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from ..protocol.digests import Address
from ..protocol.errors import ValueOutOfRange
from ..protocol.transcript import Tokens
from ..protocol.words import U256_MAX, in_range
from .errors import MixedTokens

PRICE_PRECISION = 1000
BASIS_POINTS = 10_000
_EXACT_DIGITS = 120


@dataclass(frozen=True, slots=True)
class Token:
    """What one pays with. The chain's native coin has the zero address."""

    address: Address
    symbol: str
    decimals: int

    @property
    def is_native(self) -> bool:
        return self.address.is_zero

    def amount(self, text: str | int | Decimal) -> Amount:
        """An amount in whole coins: `usdc.amount("1.5")`. Digits beyond the token's are an error.

        Raises:
            ValueOutOfRange: when the amount is negative, too large or too fine.
        """
        with localcontext(prec=_EXACT_DIGITS):
            scaled = Decimal(text).scaleb(self.decimals)
        if scaled != int(scaled):
            raise ValueOutOfRange(
                f"amount of {self.symbol} too fine", expected=f"{self.decimals} decimals", got=text
            )
        return Amount(in_range(f"amount of {self.symbol}", int(scaled), U256_MAX), self)

    def __str__(self) -> str:
        return self.symbol


NATIVE = Token(Address.zero(), "ETH", 18)


@dataclass(frozen=True, slots=True)
class Amount:
    """So many base units of a token."""

    units: int
    token: Token

    def __post_init__(self) -> None:
        in_range(f"amount of {self.token.symbol}", self.units, U256_MAX)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.units + self._same(other).units, self.token)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.units - self._same(other).units, self.token)

    def __lt__(self, other: Amount) -> bool:
        return self.units < self._same(other).units

    def __le__(self, other: Amount) -> bool:
        return self.units <= self._same(other).units

    def _same(self, other: Amount) -> Amount:
        if other.token.address != self.token.address:
            raise MixedTokens("amounts of different tokens", expected=self.token, got=other.token)
        return other

    def __str__(self) -> str:
        whole, rest = divmod(self.units, 10**self.token.decimals)
        digits = str(rest).zfill(self.token.decimals).rstrip("0")
        return f"{whole:,}{'.' if digits else ''}{digits} {self.token.symbol}"


@dataclass(frozen=True, slots=True)
class Price:
    """Base units of `token` for 1000 model tokens (`pricePerToken`, see `PRICE_PRECISION`)."""

    per_thousand_tokens: int
    token: Token

    def __post_init__(self) -> None:
        in_range("price", self.per_thousand_tokens, U256_MAX)

    def cost(self, tokens: Tokens) -> Amount:
        """What so many model tokens cost, rounded down."""
        return Amount(tokens * self.per_thousand_tokens // PRICE_PRECISION, self.token)

    def affordable(self, deposit: Amount) -> Tokens:
        """How many model tokens a deposit pays for, rounded down."""
        if deposit.token.address != self.token.address:
            raise MixedTokens("deposit and price differ", expected=self.token, got=deposit.token)
        return Tokens(deposit.units * PRICE_PRECISION // self.per_thousand_tokens)

    def __str__(self) -> str:
        return f"{Amount(self.per_thousand_tokens, self.token)} per 1,000 tokens"


@dataclass(frozen=True, slots=True)
class Settlement:
    """Who gets what when a session ends."""

    gross: Amount
    fee: Amount
    host: Amount
    refund: Amount


def settle(deposit: Amount, price: Price, tokens: Tokens, fee_basis_points: int) -> Settlement:
    """The marketplace's arithmetic: the fee is rounded down, the host keeps the rest, the client
    gets back what was not used."""
    gross = price.cost(tokens)
    fee = Amount(gross.units * fee_basis_points // BASIS_POINTS, gross.token)
    refund = Amount(max(0, deposit.units - gross.units), deposit.token)
    return Settlement(gross, fee, gross - fee, refund)
