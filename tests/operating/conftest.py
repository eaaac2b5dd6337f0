"""A node's folder with a ledger, and commands that are given its settings."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from platformless.chain.networks import BASE_SEPOLIA
from platformless.chain.rpc import RpcSettings
from platformless.node.operating import opening
from platformless.prover.ledger.settings import LedgerSettings, ledger_key
from tests.chain.conftest import dev_chain as dev_chain
from tests.commands import invoke
from tests.ledger_jobs.builder import Store

CHAIN = f"{BASE_SEPOLIA.chain_id}:0xaa:{BASE_SEPOLIA.marketplace}".lower()


@dataclass(frozen=True)
class Folder:
    """Where a node has run, whose chain is down."""

    path: Path

    @property
    def env_file(self) -> Path:
        return self.path / ".env"

    def ledger(self, chain: str = CHAIN) -> LedgerSettings:
        data = self.path / "data"
        return LedgerSettings(f"sqlite:///{data}/ledger.db", ledger_key(data), chain)

    def having(self, write: Callable[[Store], Awaitable[None]], chain: str = CHAIN) -> None:
        """Writes to the ledger, with a clock that begins at the present."""

        async def run() -> None:
            store = await Store.open(self.ledger(chain))
            store.clock.now_ms = time.time_ns() // 1_000_000
            try:
                await write(store)
            finally:
                await store.close()

        asyncio.run(run())

    def run(self, *arguments: str) -> Result:
        """Runs a command with the folder's settings."""
        return invoke([*arguments, "--env-file", str(self.env_file)])

    def json(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        result = self.run(*arguments, "--json")
        assert result.exit_code == status, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(opening, "_PATIENCE", RpcSettings(0.1, 0.1))
    folder = Folder(tmp_path)
    settings = {
        "HOST_PRIVATE_KEY": f"0x{secrets.token_hex(32)}",
        "RPC_URL": "http://127.0.0.1:1",
        "DATA_FOLDER": str(tmp_path / "data"),
    }
    folder.env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    folder.env_file.chmod(0o600)
    return folder


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(LedgerSettings(f"sqlite:///{tmp_path}/l.db", b"\x01" * 32, CHAIN))
    yield store
    await store.close()
