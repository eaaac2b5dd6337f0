"""What a pipeline works on: a real ledger, a doorbell, a portal, a chain and a clock.

Time passes when it is told to, on chain and for the pipeline alike.
"""

from __future__ import annotations

import secrets
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from platformless.chain.connection import Chain
from platformless.chain.marketplace import Marketplace
from platformless.chain.rpc import RpcSettings
from platformless.chain.session import Session
from platformless.node.backing import chain_tag
from platformless.protocol.digests import WeightsRoot
from platformless.prover.broker.doorbell import Actor, Doorbell
from platformless.prover.broker.opening import open_broker
from platformless.prover.ledger.job_states import JobQueue
from platformless.prover.ledger.jobs import Jobs
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.pipeline.rules import PipelineRules
from platformless.retrying import Backoff
from platformless.storage.cids import BlobId
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings
from platformless.storage.portals import Portals, PortalsSettings
from tests.chain.world import World

from .recorded import SOME_WEIGHTS, RecordedSession

TOKENS = 100
"""Of a checkpoint: the fewest that the contract takes."""
BRISK = Backoff(0.02, 0.1)
QUICK = PipelineRules(
    lease_seconds=2.0,
    backoff=BRISK,
    reconcile_seconds=0.1,
    watch_seconds=0.1,
    confirm_seconds=5.0,
    chain_rest_seconds=0.02,
    poll_seconds=0.02,
    settling_at_once=4,
)
IMPATIENT = RpcSettings(request_seconds=20.0, patience_seconds=0.3, backoff=Backoff(0.02, 0.1))
_LEDGER_KEY = b"\x05" * 32
_START_SECONDS = 10


@dataclass
class Stage:
    """Used with `async with`.

    `rpc_url` and `portal_url` are those of a relay, in place of the chain and of a portal of its
    own.
    """

    world: World
    folder: Path
    broker_url: str
    ledger_url: str = ""
    rules: PipelineRules = QUICK
    rpc_url: str | None = None
    portal_url: str | None = None
    host: str = "host"
    weights_root: WeightsRoot = SOME_WEIGHTS
    """Of the model that sessions name."""
    ahead_ms: int = 0
    """How far the pipeline's clock is before the time."""
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    sessions: dict[int, RecordedSession] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as parts:
            self.marketplace = Marketplace(self.world.chain)
            self.chain = self.world.chain
            if self.rpc_url is not None:
                chain = Chain(self.world.network, rpc_urls=(self.rpc_url,), settings=IMPATIENT)
                self.chain = await parts.enter_async_context(chain)
            await self.pass_time(0)
            # Lines that share a broker have queues of their own.
            self.tag = f"{await chain_tag(self.world.chain)}:{self.tag}"
            self.ledger = await parts.enter_async_context(await self.open_ledger())
            self.portal = EmbeddedPortal(PortalSettings(self.folder / "portal"))
            if self.portal_url is None:
                await self.portal.__aenter__()
                parts.push_async_callback(self.stop_portal)
                self.portal_url = self.portal.url
            self._portal_is_up = True
            broker = open_broker(self.broker_url)
            parts.callback(broker.close)
            self.doorbell = Doorbell(broker, self.tag)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._parts.aclose()

    async def open_ledger(self) -> Ledger:
        url = self.ledger_url or f"sqlite:///{self.folder / 'ledger.db'}"
        return await Ledger.open(LedgerSettings(url, _LEDGER_KEY, self.tag), self.clock_ms)

    @property
    def jobs(self) -> Jobs:
        return self.ledger.jobs

    @property
    def host_key(self) -> bytes:
        return bytes(self.world.account(self.host).key)

    # Time

    def clock_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    async def pass_time(self, seconds: int) -> None:
        """On chain, and for the pipeline, whose clock is then the chain's."""
        await self.world.pass_time(seconds)
        head = await self.world.chain.head()
        self.ahead_ms = head.timestamp * 1000 - time.time_ns() // 1_000_000

    # Sessions

    async def open(self, **changes: object) -> int:
        """A session, opened on chain some time ago."""
        if self.host != "host":
            changes = {"host": self.world.address(self.host), **changes}
        session_id = await self.world.open_session(**changes)  # type: ignore[arg-type]
        await self.pass_time(_START_SECONDS)
        return session_id

    async def record(
        self,
        session_id: int,
        checkpoints: int = 1,
        tokens: int = TOKENS,
        *,
        ring: bool = True,
        continues: bool = False,
    ) -> None:
        """Writes checkpoints into the ledger, and rings for them, as the session's node does."""
        if session_id not in self.sessions:
            host = self.world.address(self.host)
            self.sessions[session_id] = await RecordedSession.begin(
                self.world, self.ledger, host, session_id, self.clock_ms, self.weights_root
            )
        for _ in range(checkpoints):
            job_id = await self.sessions[session_id].checkpoint(tokens, continues=continues)
            if ring:
                await self.doorbell.ring(JobQueue.LIVE, Actor.PROVE, job_id)

    async def end(self, session_id: int) -> None:
        """The session's socket is closed; it is to be settled."""
        job_id = await self.sessions[session_id].end()
        await self.doorbell.ring(JobQueue.SETTLEMENT, Actor.SETTLE, job_id)

    async def session(self, checkpoints: int = 1, **changes: object) -> int:
        """A session that was opened, used and ended."""
        session_id = await self.open(**changes)
        await self.record(session_id, checkpoints)
        await self.end(session_id)
        return session_id

    async def mine(self, blocks: int) -> None:
        """Empty blocks, a second apart."""
        await self.world.chain.command("anvil_mine", hex(blocks), hex(1))
        await self.pass_time(0)

    # Money

    async def money(self, name: str) -> int:
        """Of an account, in its wallet and in what it may withdraw."""
        address, usdc = self.world.address(name), self.world.network.usdc
        earned = await self.world.earnings.balance(address, usdc)
        return (await self.world.wallet(name)).units + earned.units

    async def on_chain(self, session_id: int) -> Session:
        return await self.marketplace.session(session_id)

    # Storage

    def portals(self) -> Portals:
        assert self.portal_url is not None
        client = PortalClient(ClientSettings(self.portal_url))
        settings = PortalsSettings(read_back=True, patience_seconds=0.3, backoff=BRISK)
        return Portals([client], settings)

    async def stop_portal(self) -> None:
        if self._portal_is_up:
            self._portal_is_up = False
            await self.portal.__aexit__(None, None, None)

    async def start_portal(self) -> None:
        """Again, at the same address."""
        self.portal = EmbeddedPortal(self.portal.settings, port=self.portal.port)
        await self.portal.__aenter__()
        self._portal_is_up = True

    async def stored(self, cid: str) -> bytes:
        """What lies in the portal under a CID; its hash is checked."""
        async with self.portals() as portals:
            return await portals.get(BlobId.parse(cid), largest_bytes=4 << 20)


def changed(**changes: Any) -> PipelineRules:
    """Quick rules that are otherwise."""
    return replace(QUICK, **changes)
