"""A chain that a test owns, without contracts, whose blocks it mines itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from platformless.chain.accounts import LocalAccount
from platformless.chain.connection import Chain, ContractCall
from platformless.chain.devchain.accounts import dev_account
from platformless.chain.devchain.anvil import Anvil
from platformless.chain.networks import BASE_SEPOLIA, Network
from platformless.chain.rpc import RpcSettings
from platformless.chain.sending.fees import FeePolicy
from platformless.chain.sending.sender import TransactionSender
from platformless.chain.sending.settings import SenderSettings
from platformless.chain.sending.signing import Account
from platformless.protocol.digests import Address
from platformless.retrying import Backoff

RECIPIENT = Address(b"\x99" * 20)
QUICK = SenderSettings(
    confirmations=2, poll_seconds=0.02, rebroadcast_seconds=0.1, bump_seconds=0.2, fees=FeePolicy()
)
IMPATIENT = RpcSettings(request_seconds=20, patience_seconds=3, backoff=Backoff(0.02, 0.2))


class BareChain:
    """An anvil of its own. It mines a block for every transaction until `hold` is called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._anvil = Anvil(BASE_SEPOLIA.chain_id, block_seconds=None)
        self.url = self._anvil.url
        self.network: Network = replace(BASE_SEPOLIA, name="bare", rpc_urls=(self.url,))
        self.account: LocalAccount = dev_account("sender")
        self.address = Address.from_hex(self.account.address)
        self.chain = Chain(self.network, settings=IMPATIENT)

    async def __aenter__(self) -> Self:
        await self.fund(10**21)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.chain.close()
        self._anvil.stop()

    @property
    def outbox_path(self) -> Path:
        return self._folder / "outbox.db"

    def sender(
        self,
        settings: SenderSettings = QUICK,
        *,
        chain: Chain | None = None,
        outbox: str = "outbox.db",
        account: Account | None = None,
    ) -> TransactionSender:
        return TransactionSender(
            chain or self.chain, account or self.account, self._folder / outbox, settings
        )

    async def fund(self, wei: int) -> None:
        await self.chain.command("anvil_setBalance", str(self.address), hex(wei))

    async def hold(self) -> None:
        """Transactions wait for `mine`."""
        await self.chain.command("evm_setAutomine", False)

    async def release(self) -> None:
        await self.chain.command("evm_setAutomine", True)

    async def mine(self, blocks: int = 1) -> None:
        await self.chain.command("anvil_mine", hex(blocks))

    async def received(self) -> int:
        """Wei that arrived: every payment of these tests is different, so the sum tells which."""
        return await self.chain.balance(RECIPIENT)

    def stop(self) -> None:
        self._anvil.stop()


def payment(wei: int) -> ContractCall:
    """A call that shows whether, and how often, it was mined."""
    return ContractCall(RECIPIENT, b"", value=wei, description=f"pay {wei} wei")


def foreign(nonce: int, wei: int, gas_price: int = 10**10) -> dict[str, Any]:
    """A transaction of the account that no outbox knows."""
    return {
        "to": str(RECIPIENT),
        "value": wei,
        "gas": 21_000,
        "nonce": nonce,
        "chainId": BASE_SEPOLIA.chain_id,
        "maxFeePerGas": gas_price,
        "maxPriorityFeePerGas": gas_price,
        "type": 2,
    }
