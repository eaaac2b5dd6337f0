"""An operator of a fresh account on the dev chain, and the commands with its settings."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from platformless.chain.connection import Chain, ContractCall
from platformless.chain.devchain import DevChain, DevChainSettings, start_dev_chain
from platformless.chain.devchain.accounts import dev_account
from platformless.chain.model_registry import FileHash, ModelFile, ModelRegistry
from platformless.chain.money import Amount
from platformless.chain.node_registry import Host, NodeRegistry
from platformless.chain.sending.sender import TransactionSender
from platformless.chain.token import Erc20
from platformless.node.registration.asked import Details
from platformless.protocol.digests import Address
from tests.chain.world import AT_ONCE
from tests.commands import invoke

_COIN = 10**18
_NUMBERS = count()
OTHER_MODEL = ModelFile("somebody/other-GGUF", "other.Q4_0.gguf", FileHash(b"\x07" * 32))
"""A model that is approved, and not the file of this machine."""
DETAILS = Details(name="Node 1", performance_tier="standard", max_concurrent=4)


@dataclass(frozen=True)
class Machine:
    """A machine whose account has money and is not registered yet."""

    dev_chain: DevChain
    name: str
    folder: Path

    @property
    def address(self) -> Address:
        return Address.from_hex(dev_account(self.name).address)

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    @property
    def model(self) -> str:
        return str(self.dev_chain.model.id)

    def write_settings(self, **changes: str) -> None:
        settings = {
            **self.dev_chain.environment(),
            "HOST_PRIVATE_KEY": "0x" + dev_account(self.name).key.hex(),
            "DATA_FOLDER": str(self.folder / "data"),
            "CONFIRMATIONS": "1",
            "CHAIN_POLL_SECONDS": "0.02",
            **changes,
        }
        self.env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self.env_file.chmod(0o600)

    def run(self, *arguments: str, answer: str | None = None) -> Result:
        """Runs a command with this machine's settings."""
        command = [*arguments, "--env-file", str(self.env_file)]
        return invoke(command, answer)

    def json(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        result = self.run(*arguments, "--json")
        assert result.exit_code == status, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        assert document["format"] == "fabstir-llm-node/1"
        return document

    def one(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """What a command says of the only chain."""
        [chain] = self.json(*arguments, "--chain", "84532", status=status)["chains"]
        assert isinstance(chain, dict)
        return chain

    def registering(self, *more: str) -> list[str]:
        """`register-node` of the deployment guide, but on this machine."""
        return [
            *("register-node", "--name", "Node 1", "--api-url", "http://127.0.0.1:8080"),
            *("--models", self.model, "--performance-tier", "standard", *more),
        ]

    def register(self, *more: str) -> dict[str, Any]:
        return self.one(*self.registering("--yes", *more))

    def steps(self, chain: dict[str, Any]) -> list[str]:
        return [step["step"] for step in chain["steps"]]

    # The chain beside the commands

    def ask(self, question: Callable[[Chain], Any]) -> Any:
        async def run() -> Any:
            async with Chain(self.dev_chain.network) as chain:
                return await question(chain)

        return asyncio.run(run())

    def nonce(self) -> int:
        """How many transactions of the account are mined."""
        return int(self.ask(lambda chain: chain.nonce(self.address)))

    def registered(self) -> Host | None:
        found = self.ask(lambda chain: NodeRegistry(chain).host(self.address))
        assert found is None or isinstance(found, Host)
        return found

    def fab(self) -> Amount:
        found = self.ask(lambda chain: Erc20(chain, chain.network.fab).balance(self.address))
        assert isinstance(found, Amount)
        return found

    def send_as(self, name: str, call: Callable[[Chain], ContractCall]) -> None:
        """Sends a transaction of a dev account, by an outbox of its own."""
        send(self.dev_chain, self.folder, name, call)


def send(
    dev_chain: DevChain, folder: Path, name: str, call: Callable[[Chain], ContractCall]
) -> None:
    async def run() -> None:
        async with Chain(dev_chain.network) as chain:
            outbox = folder / f"test-{name}.db"
            async with TransactionSender(chain, dev_account(name), outbox, AT_ONCE) as sender:
                await sender.send(f"test {next(_NUMBERS)}", call(chain))

    asyncio.run(run())


def give_money(dev_chain: DevChain, folder: Path, name: str, fab: int) -> None:
    """A hundred ETH, and FAB in whole coins."""
    account = Address.from_hex(dev_account(name).address)

    async def ether() -> None:
        async with Chain(dev_chain.network) as chain:
            await chain.command("anvil_setBalance", str(account), hex(100 * _COIN))

    asyncio.run(ether())
    token = dev_chain.network.fab
    if fab:
        send(
            dev_chain,
            folder,
            "auditor",
            lambda chain: Erc20(chain, token).mint(account, token.amount(fab)),
        )


@pytest.fixture(scope="session")
def dev_chain() -> Iterator[DevChain]:
    """With a block every half a second: final after three blocks is final after a second."""
    with asyncio.run(start_dev_chain(DevChainSettings(block_seconds=0.5))) as chain:
        yield chain


@pytest.fixture
def machine(dev_chain: DevChain, tmp_path: Path) -> Machine:
    """With FAB for two stakes."""
    host = Machine(dev_chain, f"operator {os.getpid()} {next(_NUMBERS)}", tmp_path)
    host.write_settings()
    give_money(dev_chain, tmp_path, host.name, 2_000)
    return host


@pytest.fixture
def other_model(dev_chain: DevChain, tmp_path: Path) -> Iterator[str]:
    """The id of `OTHER_MODEL`, approved."""

    async def is_approved() -> bool:
        async with Chain(dev_chain.network) as chain:
            return await ModelRegistry(chain).is_approved(OTHER_MODEL.id)

    if not asyncio.run(is_approved()):
        send(dev_chain, tmp_path, "owner", lambda chain: ModelRegistry(chain).approve(OTHER_MODEL))
    yield str(OTHER_MODEL.id)
