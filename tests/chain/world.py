"""The marketplace with a registered host and a client, as tests need them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from platformless.chain.accounts import LocalAccount
from platformless.chain.connection import Chain, ContractCall
from platformless.chain.devchain import DevChain
from platformless.chain.devchain.accounts import dev_account
from platformless.chain.events import session_opened_in
from platformless.chain.host_earnings import HostEarnings
from platformless.chain.marketplace import Marketplace
from platformless.chain.model_registry import ModelRegistry
from platformless.chain.money import NATIVE, Amount, Price
from platformless.chain.node_registry import NodeRegistry
from platformless.chain.proof_system import ProofSystem
from platformless.chain.sending.sender import Confirmed, TransactionSender
from platformless.chain.sending.settings import SenderSettings
from platformless.chain.session import ProofSubmission, SessionTermsOffer
from platformless.chain.token import Erc20
from platformless.protocol.digests import Address, ProofHash
from platformless.protocol.transcript import Tokens

AT_ONCE = SenderSettings(confirmations=1, poll_seconds=0.02)
NATIVE_PRICE = Price(10_000_000, NATIVE)


class World:
    """Clients of every contract, and a sender for each account that acts."""

    def __init__(self, dev_chain: DevChain, folder: Path) -> None:
        self.dev_chain = dev_chain
        self.chain = Chain(dev_chain.network)
        self.network = dev_chain.network
        self.model_id = dev_chain.model.id
        self.marketplace = Marketplace(self.chain)
        self.nodes = NodeRegistry(self.chain)
        self.models = ModelRegistry(self.chain)
        self.proof_system = ProofSystem(self.chain)
        self.earnings = HostEarnings(self.chain)
        self.usdc = Erc20(self.chain, self.network.usdc)
        self.fab = Erc20(self.chain, self.network.fab)
        self.usdc_price = Price(5_000, self.network.usdc)
        self._folder = folder
        self._senders: dict[str, TransactionSender] = {}
        self._sent = 0

    async def __aenter__(self) -> Self:
        await self.register("host")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sender in self._senders.values():
            await sender.__aexit__(None, None, None)
        await self.chain.close()

    def account(self, name: str) -> LocalAccount:
        return dev_account(name)

    def address(self, name: str) -> Address:
        return Address.from_hex(dev_account(name).address)

    async def sender(self, name: str) -> TransactionSender:
        if name not in self._senders:
            sender = TransactionSender(
                self.chain, dev_account(name), self._folder / f"{name}.db", AT_ONCE
            )
            self._senders[name] = await sender.__aenter__()
        return self._senders[name]

    async def send(self, name: str, call: ContractCall) -> Confirmed:
        """Sends under a key of its own."""
        self._sent += 1
        return await (await self.sender(name)).send(f"test {self._sent}", call)

    async def register(self, name: str) -> None:
        """Registers a host for the test model, with prices in ETH and USDC, unless it is."""
        if await self.nodes.host(self.address(name)) is not None:
            return
        stake = await self.nodes.required_stake()
        calls = [
            self.fab.approve(self.network.node_registry, stake),
            self.nodes.register(
                metadata='{"name": "test"}',
                api_url="http://127.0.0.1:8080",
                models=(self.model_id,),
                native_price=NATIVE_PRICE,
                stable_price=self.usdc_price,
            ),
            self.nodes.set_price(self.model_id, NATIVE_PRICE),
            self.nodes.set_price(self.model_id, self.usdc_price),
        ]
        for call in calls:
            await self.send(name, call)

    def offer(self, **changes: object) -> SessionTermsOffer:
        """Terms that are accepted: half an USDC, whose proof interval is the smallest."""
        offer = SessionTermsOffer(
            host=self.address("host"),
            model_id=self.model_id,
            deposit=self.network.usdc.amount("0.5"),
            price=self.usdc_price,
            proof_interval=Tokens(100),
        )
        return replace(offer, **changes)  # type: ignore[arg-type]

    async def open_session(self, client: str = "client", **changes: object) -> int:
        """Approves, opens, and returns the session's id."""
        offer = self.offer(**changes)
        if not offer.deposit.token.is_native:
            approval = self.usdc.approve(self.network.marketplace, offer.deposit)
            await self.send(client, approval)
        opened = await self.send(client, self.marketplace.open_session(offer))
        return await self.opened_by(opened)

    async def opened_by(self, confirmed: Confirmed) -> int:
        receipt = await self.chain.receipt(confirmed.transaction_hash)
        assert receipt is not None
        return session_opened_in(receipt.logs)

    def submission(self, session_id: int, tokens: int, name: str = "") -> ProofSubmission:
        """A submission whose hash no other test uses."""
        content = f"{session_id} {tokens} {name} {self._folder}"
        return ProofSubmission(
            session_id, Tokens(tokens), ProofHash.of(content.encode()), "uProof", "uDelta"
        )

    async def pass_time(self, seconds: int) -> None:
        """Moves the chain's clock."""
        await self.chain.command("evm_increaseTime", seconds)
        await self.chain.command("evm_mine")

    async def move_clock_to(self, timestamp: int | None) -> None:
        """Makes this the time of the newest block, by which a node judges what it is asked."""
        await self.chain.command("evm_setNextBlockTimestamp", timestamp)
        await self.chain.command("evm_mine")

    async def wallet(self, name: str) -> Amount:
        return await self.usdc.balance(self.address(name))
