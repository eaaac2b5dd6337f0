"""`fabstir-llm-node dev-chain`: runs a dev chain by hand and shows what is on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..chain.devchain import DevChain, DevChainSettings, start_dev_chain
from ..chain.errors import AnvilFailed
from ..console import RUNNING, Output, stop_requested, write_file

_WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class DevChainRequest:
    """What was asked for on the command line."""

    port: int
    block_seconds: float
    env_file: Path | None


def run_dev_chain(output: Output, request: DevChainRequest) -> None:
    """Starts the chain, shows it, and stays until SIGINT or SIGTERM.

    Raises:
        AnvilNotFound, AnvilFailed: also when anvil ends by itself.
    """
    asyncio.run(_run(output, request))


async def _run(output: Output, request: DevChainRequest) -> None:
    stopping = stop_requested()
    settings = DevChainSettings(port=request.port, block_seconds=request.block_seconds)
    with await start_dev_chain(settings) as chain:
        if request.env_file is not None:
            write_file(request.env_file, env_text(chain).encode(), mode=0o600)
        if output.as_json:
            output.json("running", chain=describe(chain))
        else:
            show(output, chain)
        while not stopping.is_set():
            if not chain.is_running:
                raise AnvilFailed("anvil ended", expected="that it runs until interrupted")
            try:
                async with asyncio.timeout(_WATCH_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                continue


def env_text(chain: DevChain) -> str:
    """The chain's addresses and the host's key, as a `.env` file."""
    return "".join(f"{name}={value}\n" for name, value in chain.environment().items())


def describe(chain: DevChain) -> dict[str, Any]:
    """Everything about the chain, for JSON."""
    return {
        "rpc_url": chain.rpc_url,
        "chain_id": chain.network.chain_id,
        "process_id": chain.process_id,
        "contracts": {name: str(address) for name, address in chain.contracts().items()},
        "model": {
            "id": str(chain.model.id),
            "repository": chain.model.repository,
            "file_name": chain.model.file_name,
            "sha256": str(chain.model.file_hash),
        },
        "accounts": {
            name: {"address": account.address, "private_key": "0x" + account.key.hex()}
            for name, account in chain.accounts.items()
        },
        "environment": chain.environment(),
    }


def show(output: Output, chain: DevChain) -> None:
    """The same as a table and a `.env` for a person. Lines are never cut or folded."""
    rows = {"RPC": chain.rpc_url, "chain id": str(chain.network.chain_id)}
    rows |= {name: str(address) for name, address in chain.contracts().items()}
    rows["model"] = f"{chain.model.repository}/{chain.model.file_name}"
    rows["model id"] = str(chain.model.id)
    for name, value in rows.items():
        output.line(f"{name:<16}{value}")
    output.line("")
    output.line(f"{'account':<16}{'address':<44}private key (public: for tests only)")
    for name, account in chain.accounts.items():
        output.line(f"{name:<16}{account.address:<44}0x{account.key.hex()}")
    settings = chain.settings
    output.line(f"each has {settings.eth:,} ETH, {settings.fab:,} FAB and {settings.usdc:,} USDC")
    output.line("")
    output.line("# .env")
    output.line(env_text(chain))
    output.line(RUNNING)
