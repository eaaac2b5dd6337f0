"""Client of an ERC-20 token (EIP-20)."""

from __future__ import annotations

from ..protocol.digests import Address
from .connection import Chain, ContractCall
from .contract import ContractClient
from .money import Amount, Token


class Erc20(ContractClient):
    """A token that is not the native coin."""

    CONTRACT = "TestToken"

    def __init__(self, chain: Chain, token: Token) -> None:
        super().__init__(chain, token.address)
        self.token = token

    async def balance(self, account: Address) -> Amount:
        return Amount(await self._read("balanceOf", account), self.token)

    async def allowance(self, owner: Address, spender: Address) -> Amount:
        """What `spender` may take from `owner`."""
        return Amount(await self._read("allowance", owner, spender), self.token)

    def approve(self, spender: Address, amount: Amount) -> ContractCall:
        """Lets `spender` take so much from the caller."""
        return self._write("approve", spender, amount.units, about=f"{amount} for {spender}")

    def transfer(self, to: Address, amount: Amount) -> ContractCall:
        return self._write("transfer", to, amount.units, about=f"{amount} to {to}")

    def mint(self, to: Address, amount: Amount) -> ContractCall:
        """Makes tokens out of nothing: only a dev chain's test tokens allow it."""
        return self._write("mint", to, amount.units, about=f"{amount} to {to}")
