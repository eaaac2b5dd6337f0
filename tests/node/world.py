"""A node over a dev chain, with a registered host, and clients of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from platformless.chain.devchain.accounts import dev_account
from platformless.client import Client, ClientSession, ClientSettings
from platformless.node.backing import chain_tag, ledger_settings
from platformless.node.reading_settings import load_settings
from platformless.node.running import Node
from platformless.node.sessions.rules import SessionRules
from platformless.node.settings import NodeSettings
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.prover.ledger.settings import LedgerSettings
from tests.chain.world import AT_ONCE, World

from .wire import Wire, connected

UNLIMITED = {
    "MAX_CONNECTIONS_PER_ADDRESS": "1000",
    "REQUESTS_BURST_PER_ADDRESS": "1000000",
    "FRAMES_BURST_PER_ADDRESS": "1000000",
    "PROMPTS_BURST_PER_WALLET": "1000000",
}
"""Limits that tests do not meet: all their clients share one address, and most of them a wallet."""
QUICK = SessionRules(grace_seconds=0.2, tend_seconds=0.05, recheck_seconds=15)


class NodeWorld:
    """The marketplace, and a node of the account `host` on it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.ahead_seconds = 0
        """How far the nodes' clock is before the time."""

    def clock_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_seconds * 1000

    def environment(self, **changes: object) -> dict[str, str]:
        """A node's settings."""
        return {
            **self.world.dev_chain.environment(),
            "API_HOST": "127.0.0.1",
            "API_PORT": "0",
            "DATA_FOLDER": str(self.folder / "node"),
            "CONTEXT_TOKENS": "1024",
            "DRAIN_SECONDS": "0",
            **UNLIMITED,
            **{name.upper(): str(value) for name, value in changes.items()},
        }

    def settings(self, **changes: object) -> NodeSettings:
        settings, _ = load_settings(self.environment(**changes), env_file=None)
        return settings

    async def ledger_settings(self) -> LedgerSettings:
        """Of the nodes' ledger."""
        return ledger_settings(self.settings(), await chain_tag(self.world.chain))

    @asynccontextmanager
    async def node(
        self, rules: SessionRules | None = QUICK, **changes: object
    ) -> AsyncIterator[Node]:
        """A node that the registry knows the address of."""
        settings = self.settings(**changes)
        async with Node(settings, self.world.network, rules, self.clock_ms) as node:
            await self.announce(node.report.url)
            yield node

    async def announce(self, url: str) -> None:
        """Writes address and public key of the host into the registry."""
        host = await self.world.nodes.host(self.world.address("host"))
        assert host is not None
        metadata = f'{{"name":"test","publicKey":"{self.host_key.value.hex()}"}}'
        if host.metadata != metadata:
            await self.world.send("host", self.world.nodes.set_metadata(metadata))
        if host.api_url != url:
            await self.world.send("host", self.world.nodes.set_api_url(url))

    @property
    def host_key(self) -> PublicKeyBytes:
        return PublicKeyBytes.of(bytes(dev_account("host").key))

    @asynccontextmanager
    async def wire(
        self, node: Node, session_id: int, key: bytes = b"\x21" * 32
    ) -> AsyncIterator[Wire]:
        """A connection of the kind that the existing client makes."""
        async with connected(node.report.url, self.host_key, session_id, key) as wire:
            yield wire

    def client(self, name: str = "client", folder: str = "client") -> Client:
        return Client(
            ClientSettings(
                network=self.world.network,
                private_key=bytes(dev_account(name).key),
                folder=self.folder / folder,
                sending=AT_ONCE,
            )
        )

    async def open(self, client: Client, deposit: str = "0.5", **options: object) -> ClientSession:
        """A session of the test model."""
        return await client.open(
            self.world.model_id,
            self.world.network.usdc.amount(deposit),
            **{"proof_interval": 100, **options},  # type: ignore[arg-type]
        )


def changed(rules: SessionRules, **changes: object) -> SessionRules:
    return replace(rules, **changes)  # type: ignore[arg-type]
