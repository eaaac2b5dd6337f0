"""What a check is about, and what several checks need of the chain: each asked for once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ...chain.connection import Block, Chain
from ...chain.model_registry import ModelRegistry, RegisteredModel
from ...chain.networks import Network
from ...chain.node_registry import Host, NodeRegistry
from ...chain.rpc import RpcSettings
from ...protocol.digests import Address
from ...prover.release_facts import (
    InstalledEngine,
    InstalledProver,
    installed_engine,
    installed_provers,
)
from ..keys.remote import RemoteKey
from ..keys.sources import open_key
from ..settings import NodeSettings
from .endpoints import Endpoint, ask_endpoint
from .machine import Machine
from .reading_settings import SettingsFound

_PATIENCE = RpcSettings(request_seconds=4.0, patience_seconds=6.0)
_Value = TypeVar("_Value")


class ChainOutOfReach(Exception):
    """No endpoint serves the chain: the check `rpc` says why."""


class KeyOutOfReach(Exception):
    """There is no host's key: the check `host-key` says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator asked for."""

    env_file: Path
    write: bool = False
    """Whether a portal's write access is tried."""


@dataclass(eq=False)
class Subject:
    """A node that is looked at. Facts of the chain are asked for by the first check that needs
    them."""

    found: SettingsFound
    machine: Machine
    options: Options
    _asked: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    _chain: Chain | None = None

    @property
    def settings(self) -> NodeSettings:
        return self.found.settings

    @property
    def network(self) -> Network:
        return self.found.network

    async def host(self) -> Address:
        """Whose node this is. The one place that touches the host's key.

        Raises:
            KeyOutOfReach: when none is set.
            HostKeyError: when it cannot be had.
        """
        if not self.found.has_key:
            raise KeyOutOfReach

        def address() -> Address:
            key = open_key(self.settings)
            try:
                return key.address
            finally:
                if isinstance(key, RemoteKey):
                    key.close()

        return await self._once("host", lambda: asyncio.to_thread(address))

    async def endpoints(self) -> tuple[Endpoint, ...]:
        """Every RPC endpoint, asked."""
        return await self._once("endpoints", self._ask_endpoints)

    async def chain(self) -> Chain:
        """Over the endpoints that serve the configured chain.

        Raises:
            ChainOutOfReach
        """
        right = tuple(
            endpoint.url
            for endpoint in await self.endpoints()
            if endpoint.answered and endpoint.answered.chain_id == self.network.chain_id
        )
        if not right:
            raise ChainOutOfReach
        if self._chain is None:
            self._chain = Chain(self.network, rpc_urls=right, settings=_PATIENCE)
        return self._chain

    async def registered(self) -> Host | None:
        """This host's registration."""

        async def ask() -> Host | None:
            chain, host = await self.chain(), await self.host()
            return await NodeRegistry(chain).host(host)

        return await self._once("registered", ask)

    async def models(self) -> tuple[RegisteredModel, ...]:
        """Every model in the registry."""

        async def ask() -> tuple[RegisteredModel, ...]:
            registry = ModelRegistry(await self.chain())
            ids = await registry.all_models()
            found = await asyncio.gather(*(registry.model(model_id) for model_id in ids))
            return tuple(model for model in found if model is not None)

        return await self._once("models", ask)

    async def genesis(self) -> Block | None:
        async def ask() -> Block | None:
            return await (await self.chain()).block(0)

        return await self._once("genesis", ask)

    async def provers(self) -> tuple[InstalledProver, ...]:
        return await self._once("provers", installed_provers)

    async def engine(self) -> InstalledEngine | None:
        return await self._once("engine", lambda: asyncio.to_thread(installed_engine))

    async def _ask_endpoints(self) -> tuple[Endpoint, ...]:
        clock = self.machine.clock
        asked = (ask_endpoint(url, clock) for url in self.network.rpc_urls)
        return tuple(await asyncio.gather(*asked))

    async def _once(self, name: str, ask: Callable[[], Coroutine[Any, Any, _Value]]) -> _Value:
        """The answer to a question that is asked once. A check that gives up waiting leaves it to
        the others."""
        if name not in self._asked:
            self._asked[name] = asyncio.create_task(ask())
        answer: _Value = await asyncio.shield(self._asked[name])
        return answer

    async def close(self) -> None:
        """Leaves no question and no connection behind."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        if self._chain is not None:
            await self._chain.close()


@asynccontextmanager
async def subject_of(
    found: SettingsFound, machine: Machine, options: Options
) -> AsyncIterator[Subject]:
    """A subject, closed at the end. The chain's log is quiet meanwhile: findings say what it
    would."""
    log = logging.getLogger(Chain.__module__.rpartition(".")[0])
    level = log.level
    log.setLevel(logging.ERROR)
    subject = Subject(found, machine, options)
    try:
        yield subject
    finally:
        await subject.close()
        log.setLevel(level)
