"""EIP-1559 fees: what to offer at first, and what to offer instead when that is not enough."""

from __future__ import annotations

from dataclasses import dataclass

from ..connection import GasPrices
from ..errors import FeesAboveCap
from ..money import BASIS_POINTS

GWEI = 10**9
_NODES_ASK_BASIS_POINTS = 1000
"""More than what it replaces, in both fees; less, and a node refuses it."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas (EIP-1559): at most `max_fee` is paid, of which `priority_fee` is the tip."""

    max_fee: int
    priority_fee: int

    def __str__(self) -> str:
        return f"{self.max_fee / GWEI:g} gwei at most, {self.priority_fee / GWEI:g} gwei tip"


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """How fees are chosen. Fees in wei per gas."""

    cap: int = 50 * GWEI
    """No transaction ever offers more than this."""
    least_priority_fee: int = GWEI // 1000
    headroom: int = 2
    """The first offer still pays when the base fee has grown by this factor."""
    bump_basis_points: int = 1250
    """A replacement offers this much more, unless its tip would be too much."""
    most_tip_factor: int = 5
    """A tip of so many times the tip that recent blocks were paid, or as high as the base fee, is
    not outbid: whoever gets that and still passes a transaction over has another reason."""

    def first_offer(self, prices: GasPrices) -> Fees:
        """Raises:
        FeesAboveCap: when the cap does not even pay for the next block.
        """
        priority_fee = max(self.least_priority_fee, prices.priority_fee)
        needed = prices.base_fee + self.least_priority_fee
        if needed > self.cap:
            raise FeesAboveCap(
                "the chain asks more than the fee cap",
                expected=f"at most {self.cap / GWEI:g} gwei",
                got=f"{needed / GWEI:g} gwei",
            )
        max_fee = min(self.cap, prices.base_fee * self.headroom + priority_fee)
        return Fees(max_fee, min(priority_fee, max_fee))

    def replacement(self, offered: Fees, prices: GasPrices) -> Fees | None:
        """Fees that replace `offered` and pay for the next block; None when the cap forbids.

        The tip is what is paid in full, so it follows the market: it grows up to `_most_tip`, and
        beyond only by what nodes ask of a replacement, for one that the base fee makes necessary.
        """
        least = _least_replacement(offered.priority_fee)
        tip = max(least, min(self._bumped(offered.priority_fee), self._most_tip(prices)))
        fees = Fees(
            max(self._bumped(offered.max_fee), prices.base_fee + tip),
            max(tip, prices.priority_fee),
        )
        if fees.max_fee <= self.cap:
            return Fees(fees.max_fee, min(fees.priority_fee, fees.max_fee))
        at_cap = Fees(self.cap, min(fees.priority_fee, self.cap))
        is_replacement = self.cap >= self._bumped(offered.max_fee)
        return at_cap if is_replacement and self.pays(at_cap, prices) else None

    def pays(self, offered: Fees, prices: GasPrices) -> bool:
        """Whether an offer is enough for the next block."""
        return offered.max_fee >= prices.base_fee + min(
            offered.priority_fee, self.least_priority_fee
        )

    def tips_most(self, offered: Fees, prices: GasPrices) -> bool:
        """Whether a higher tip would not help, by what the market asks now."""
        return offered.priority_fee >= self._most_tip(prices)

    def _most_tip(self, prices: GasPrices) -> int:
        usual = max(prices.priority_fee, self.least_priority_fee)
        return max(self.most_tip_factor * usual, prices.base_fee)

    def _bumped(self, fee: int) -> int:
        return -(-fee * (BASIS_POINTS + self.bump_basis_points) // BASIS_POINTS)


def _least_replacement(fee: int) -> int:
    return -(-fee * (BASIS_POINTS + _NODES_ASK_BASIS_POINTS) // BASIS_POINTS)
