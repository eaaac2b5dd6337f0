"""What a signer signs. Pure; everything else is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from ...chain.networks import Network
from ...protocol import node_record
from ...protocol.digests import Address
from ...protocol.transaction import Transaction
from .errors import NotPermitted

GWEI = 10**9
ETHER = 10**18
_APPROVE = bytes.fromhex("095ea7b3")  # approve(address,uint256)
_WORD = 32
_SELECTOR = 4
_PAYMENT_GAS = 21_000
_DIGEST = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FeeCaps:
    """What one transaction may cost, in wei."""

    per_gas: int = 50 * GWEI
    in_all: int = ETHER // 10


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """Transactions of one chain to the marketplace's contracts, without value, within the caps."""

    network: Network
    host: Address
    caps: FeeCaps = field(default_factory=FeeCaps)

    def require_transaction(self, transaction: Transaction) -> str:
        """Returns what the transaction is for, in words.

        Raises:
            NotPermitted
        """
        if transaction.chain_id != self.network.chain_id:
            raise NotPermitted(
                "a transaction of another chain",
                expected=self.network.chain_id,
                got=transaction.chain_id,
            )
        if transaction.value:
            raise NotPermitted(
                "a transaction with value", expected="0 wei", got=f"{transaction.value} wei"
            )
        self._require_fees(transaction)
        return self._purpose(transaction)

    def require_text(self, text: bytes) -> None:
        """Deltas and indexes are signed as lists in JSON, a sealed delta by 64 hex digits, a node
        record as an object that names its format. What asks for a login is none of them.

        Raises:
            NotPermitted
        """
        if not _is_ours(text):
            raise NotPermitted(
                "a text that no node signs",
                expected="a delta's, an index's or a node record's",
                got=f"{len(text)} bytes",
            )

    def _require_fees(self, transaction: Transaction) -> None:
        highest = max(transaction.max_fee, transaction.priority_fee)
        if highest > self.caps.per_gas:
            raise NotPermitted(
                "a transaction above the fee cap",
                expected=f"at most {self.caps.per_gas} wei per gas",
                got=highest,
            )
        if transaction.most_cost > self.caps.in_all:
            raise NotPermitted(
                "a transaction above the cap of its cost",
                expected=f"at most {self.caps.in_all} wei",
                got=transaction.most_cost,
            )

    def _purpose(self, transaction: Transaction) -> str:
        network, to, data = self.network, transaction.to, transaction.data
        contracts = {
            network.marketplace: "JobMarketplace",
            network.node_registry: "NodeRegistry",
            network.host_earnings: "HostEarnings",
        }
        if to in contracts and len(data) >= _SELECTOR:
            return f"{contracts[to]} 0x{data[:_SELECTOR].hex()}"
        if to == network.fab.address:
            return self._approval(data)
        if to == self.host and not data and transaction.gas_limit == _PAYMENT_GAS:
            return "nothing to the host itself, for a nonce"
        raise NotPermitted(
            "a transaction to something else than the marketplace",
            expected="a call of JobMarketplace, NodeRegistry or HostEarnings",
            got=to,
        )

    def _approval(self, data: bytes) -> str:
        """Of FAB, for NodeRegistry's stake."""
        spender = bytes(_WORD - Address.LENGTH) + self.network.node_registry.value
        if data[:_SELECTOR] != _APPROVE or len(data) != _SELECTOR + 2 * _WORD:
            raise NotPermitted(
                "a call of FAB's contract", expected="approve", got="0x" + data[:4].hex()
            )
        if data[_SELECTOR : _SELECTOR + _WORD] != spender:
            raise NotPermitted(
                "an approval of FAB for somebody else",
                expected=self.network.node_registry,
                got="0x" + data[_SELECTOR + 12 : _SELECTOR + _WORD].hex(),
            )
        return "approve FAB for NodeRegistry"


def _is_ours(text: bytes) -> bool:
    if _DIGEST.fullmatch(text):
        return True
    try:
        value = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return False
    if isinstance(value, dict):
        return value.get("format") == node_record.FORMAT
    return isinstance(value, list)
