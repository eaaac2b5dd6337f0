"""Deploys the marketplace's contracts on a chain whose accounts are unlocked, as anvil's are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from ...protocol.digests import Address
from ..abi import load_bytecode
from ..connection import Chain, ContractCall
from ..contract import encode_call, encode_constructor
from ..errors import AnvilFailed
from ..money import Token
from ..networks import Network

_GAS_LIMIT = 15_000_000
_MINING_SECONDS = 30
_BETWEEN_LOOKS_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """Parameters of the contracts; the defaults are those of Base Sepolia."""

    fee_basis_points: int = 1000
    dispute_window_seconds: int = 30


class Deployer:
    """Sends transactions from an unlocked account, one after another."""

    def __init__(self, chain: Chain, owner: Address) -> None:
        self._chain = chain
        self._owner = owner

    async def create(self, contract: str, arguments: bytes = b"") -> Address:
        """Deploys a contract and returns its address."""
        receipt = await self._send(None, load_bytecode(contract) + arguments)
        return Address.from_hex(receipt["contractAddress"])

    async def create_behind_proxy(self, contract: str, *arguments: Any) -> Address:
        """Deploys a contract and its proxy, and calls `initialize` through it."""
        implementation = await self.create(contract)
        initialize = encode_call(contract, "initialize", arguments)
        return await self.create(
            "ERC1967Proxy", encode_constructor("ERC1967Proxy", implementation, initialize)
        )

    async def send(self, call: ContractCall) -> None:
        """Sends a call that a contract's client made."""
        await self._send(call.to, call.data)

    async def write(self, contract: str, to: Address, function: str, *arguments: Any) -> None:
        await self._send(to, encode_call(contract, function, arguments))

    async def _send(self, to: Address | None, data: bytes) -> dict[str, Any]:
        request = {"from": str(self._owner), "data": "0x" + data.hex(), "gas": hex(_GAS_LIMIT)}
        if to is not None:
            request["to"] = str(to)
        sent = await self._chain.command("eth_sendTransaction", request)
        receipt = await self._mined(sent)
        if int(receipt["status"], 16) != 1:
            raise AnvilFailed("a deployment transaction failed", expected="success", got=sent)
        return receipt

    async def _mined(self, transaction_hash: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_MINING_SECONDS):
                while True:
                    receipt: dict[str, Any] | None = await self._chain.command(
                        "eth_getTransactionReceipt", transaction_hash
                    )
                    if receipt is not None:
                        return receipt
                    await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
        except TimeoutError:
            raise AnvilFailed(
                "a deployment transaction is not mined",
                expected=f"a block within {_MINING_SECONDS} s",
                got=transaction_hash,
            ) from None


async def deploy_marketplace(chain: Chain, owner: Address, settings: DeploymentSettings) -> Network:
    """Deploys the five contracts and two test tokens, wired as on Base Sepolia.

    Returns:
        The chain's network with the addresses of what was deployed.
    """
    deployer = Deployer(chain, owner)
    fab = await _create_token(deployer, "FAB", 18)
    usdc = await _create_token(deployer, "USDC", 6)
    models = await deployer.create_behind_proxy("ModelRegistry", fab.address)
    proofs = await deployer.create_behind_proxy("ProofSystem")
    earnings = await deployer.create_behind_proxy("HostEarnings")
    nodes = await deployer.create_behind_proxy("NodeRegistry", fab.address, models)
    marketplace = await deployer.create_behind_proxy(
        "JobMarketplace",
        nodes,
        earnings,
        settings.fee_basis_points,
        settings.dispute_window_seconds,
    )
    await deployer.write("HostEarnings", earnings, "setAuthorizedCaller", marketplace, True)
    await deployer.write("ProofSystem", proofs, "setAuthorizedCaller", marketplace, True)
    await deployer.write("JobMarketplace", marketplace, "setProofSystem", proofs)
    await deployer.write("JobMarketplace", marketplace, "setUsdcAddress", usdc.address)
    await deployer.write("NodeRegistry", nodes, "initializeSlashing", owner)
    return replace(
        chain.network,
        marketplace=marketplace,
        node_registry=nodes,
        model_registry=models,
        proof_system=proofs,
        host_earnings=earnings,
        fab=fab,
        usdc=usdc,
    )


async def _create_token(deployer: Deployer, symbol: str, decimals: int) -> Token:
    arguments = encode_constructor("TestToken", f"{symbol} (test)", symbol, decimals)
    return Token(await deployer.create("TestToken", arguments), symbol, decimals)
