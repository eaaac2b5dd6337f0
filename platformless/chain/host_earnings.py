"""Client of HostEarnings: what settled sessions have earned, until the host withdraws it."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol.digests import Address
from .connection import Chain, ContractCall
from .contract import ContractClient
from .money import Amount, Token


@dataclass(frozen=True, slots=True)
class EarningsTotals:
    """All hosts together, since the beginning."""

    credited: Amount
    withdrawn: Amount
    outstanding: Amount


class HostEarnings(ContractClient):
    """The hosts' accounts of a network."""

    CONTRACT = "HostEarnings"

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain, chain.network.host_earnings)

    async def balance(self, host: Address, token: Token) -> Amount:
        """What the host may withdraw."""
        return Amount(await self._read("getBalance", host, token.address), token)

    async def totals(self, token: Token) -> EarningsTotals:
        credited, withdrawn, outstanding = await self._read("getTokenStats", token.address)
        return EarningsTotals(
            Amount(credited, token), Amount(withdrawn, token), Amount(outstanding, token)
        )

    def withdraw(self, amount: Amount) -> ContractCall:
        """Pays out a part of the caller's earnings."""
        return self._write("withdraw", amount.units, amount.token.address, about=amount)

    def withdraw_all(self, tokens: list[Token]) -> ContractCall:
        """Pays out the caller's earnings in these tokens; those without any are passed over."""
        return self._write(
            "withdrawMultiple",
            [token.address for token in tokens],
            about=", ".join(map(str, tokens)),
        )
