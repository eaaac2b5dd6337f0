"""A chain one is connected to, and what clients and sender ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..closing import AsyncClosing
from ..protocol.digests import Address
from .errors import RpcRefused, UnreadableAnswer
from .networks import Network
from .rpc import RpcEndpoints, RpcSettings

LATEST = "latest"
_FEE_HISTORY_BLOCKS = 4
_MEDIAN = 50.0


@dataclass(frozen=True, slots=True)
class Block:
    """What is needed of a block's header. `timestamp` is Unix time in seconds."""

    number: int
    hash: str
    timestamp: int
    base_fee: int
    """Wei per gas."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a transaction was mined and what became of it."""

    transaction_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    gas_price: int
    """Wei per gas that was paid."""
    logs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class GasPrices:
    """Wei per gas: the next block's base fee, and the tip that recent blocks' median paid."""

    base_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A transaction to be sent: pure data, made by a contract's client.

    Attributes:
        description: For logs and tables, such as `submitProofOfWork(session 7)`.
        gas_limit: Fixed when given; else the sender asks the node and adds a margin.
    """

    to: Address
    data: bytes
    value: int = 0
    description: str = ""
    gas_limit: int | None = None


class Chain(AsyncClosing):
    """A connection to a network over its RPC endpoints. Use as an asynchronous context manager."""

    def __init__(
        self,
        network: Network,
        *,
        rpc_urls: tuple[str, ...] | None = None,
        settings: RpcSettings | None = None,
    ) -> None:
        self.network = network
        self._endpoints = RpcEndpoints(rpc_urls or network.rpc_urls, network.chain_id, settings)

    async def close(self) -> None:
        await self._endpoints.close()

    async def block(self, which: int | str = LATEST) -> Block | None:
        """A block by its number or tag; None when the chain has none such."""
        found = await self._endpoints.ask("eth_getBlockByNumber", _tag(which), False)
        if found is None:
            return None
        block = _block(found)
        if isinstance(which, int) and block.number != which:
            raise UnreadableAnswer("the node gave another block", expected=which, got=block.number)
        return block

    async def head(self) -> Block:
        """The newest block."""
        head = await self.block()
        if head is None:
            raise UnreadableAnswer("the node has no newest block")
        return head

    async def receipt(self, transaction_hash: str) -> Receipt | None:
        """The receipt of a mined transaction; None when it is not mined."""
        found = await self._endpoints.ask("eth_getTransactionReceipt", transaction_hash)
        if found is None:
            return None
        receipt = _receipt(found)
        if receipt.transaction_hash != transaction_hash:
            raise UnreadableAnswer(
                "the node gave another transaction's receipt",
                expected=transaction_hash,
                got=receipt.transaction_hash,
            )
        return receipt

    async def transactions_from(self, account: Address, block_number: int) -> list[dict[str, Any]]:
        """The transactions of a block that the account sent, as the node gives them."""
        found = await self._endpoints.ask("eth_getBlockByNumber", hex(block_number), True)
        sender = "0x" + account.value.hex()
        mined = found["transactions"] if found is not None else []
        return [item for item in mined if str(item.get("from", "")).lower() == sender]

    async def nonce(self, account: Address, which: int | str = LATEST) -> int:
        """How many transactions of the account are mined up to a block."""
        return await self._number("eth_getTransactionCount", str(account), _tag(which))

    async def balance(self, account: Address) -> int:
        """Wei."""
        return await self._number("eth_getBalance", str(account), LATEST)

    async def gas_prices(self) -> GasPrices:
        """From the last blocks (`eth_feeHistory`)."""
        asked = hex(_FEE_HISTORY_BLOCKS), LATEST, [_MEDIAN]
        history = await self._endpoints.ask("eth_feeHistory", *asked)
        tips = sorted(int(reward[0], 16) for reward in history.get("reward") or [] if reward)
        return GasPrices(
            base_fee=int(history["baseFeePerGas"][-1], 16),
            priority_fee=tips[len(tips) // 2] if tips else 0,
        )

    async def call(
        self,
        call: ContractCall,
        *,
        sender: Address | None = None,
        which: int | str = LATEST,
        gas: int | None = None,
    ) -> bytes:
        """Runs a call without sending it.

        Raises:
            ContractRefused: when the contract reverts.
        """
        request = _request(call, sender)
        if gas is not None:
            request["gas"] = hex(gas)
        return _bytes(await self._endpoints.ask("eth_call", request, _tag(which)))

    async def estimate_gas(self, call: ContractCall, sender: Address) -> int:
        """What the node thinks the call needs, with the state of the newest block.

        Raises:
            ContractRefused: when the contract reverts.
        """
        return await self._number("eth_estimateGas", _request(call, sender), LATEST)

    async def broadcast(self, raw: bytes) -> None:
        """Hands a signed transaction to the node.

        Raises:
            RpcRefused: when the node does not take it.
        """
        await self._endpoints.ask("eth_sendRawTransaction", "0x" + raw.hex())

    async def logs(
        self, address: Address, topics: list[Any], first: int, last: int
    ) -> list[dict[str, Any]]:
        """The logs of blocks `first` to `last`, both included.

        Raises:
            RpcRefused: when the node does not serve so many blocks or logs at once.
        """
        query = {
            "address": str(address),
            "topics": topics,
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        found: list[dict[str, Any]] = await self._endpoints.ask("eth_getLogs", query)
        return found

    async def command(self, method: str, *params: Any) -> Any:
        """Any other request, such as a dev chain's `evm_increaseTime`."""
        return await self._endpoints.ask(method, *params)

    async def _number(self, method: str, *params: Any) -> int:
        return int(await self._endpoints.ask(method, *params), 16)


def says(refusal: RpcRefused, *texts: str) -> bool:
    """Whether the node's message holds one of these texts; nodes have no common codes."""
    message = refusal.rpc_message.lower()
    return any(text in message for text in texts)


def _tag(which: int | str) -> str:
    return hex(which) if isinstance(which, int) else which


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _request(call: ContractCall, sender: Address | None) -> dict[str, Any]:
    request: dict[str, Any] = {"to": str(call.to), "data": "0x" + call.data.hex()}
    if call.value:
        request["value"] = hex(call.value)
    if sender is not None:
        request["from"] = str(sender)
    return request


def _block(fields: dict[str, Any]) -> Block:
    return Block(
        number=int(fields["number"], 16),
        hash=fields["hash"],
        timestamp=int(fields["timestamp"], 16),
        base_fee=int(fields.get("baseFeePerGas") or "0x0", 16),
    )


def _receipt(fields: dict[str, Any]) -> Receipt:
    return Receipt(
        transaction_hash=fields["transactionHash"],
        block_number=int(fields["blockNumber"], 16),
        block_hash=fields["blockHash"],
        succeeded=int(fields["status"], 16) == 1,
        gas_used=int(fields["gasUsed"], 16),
        gas_price=int(fields.get("effectiveGasPrice") or "0x0", 16),
        logs=tuple(fields.get("logs") or ()),
    )
