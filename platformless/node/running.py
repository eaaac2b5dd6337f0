"""A running node: its parts, started in order and stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .. import __version__
from ..audit.verify import ZKVM
from ..chain.connection import Chain
from ..chain.networks import Network
from ..closing import ended
from ..commit import commit
from ..engine.chat import ChatFormat
from ..engine.engine import Engine
from ..protocol.digests import Address
from ..protocol.frames import MAX_FRAME_BYTES
from ..protocol.transcript import Tokens
from ..prover.broker.doorbell import Actor, Doorbell
from ..prover.broker.opening import open_broker
from ..prover.ledger.job_states import JobKind, JobQueue
from ..prover.ledger.job_values import kind_of
from ..prover.ledger.ledger import Ledger
from ..storage.publication import PublicationFolder
from ..web_server import WebServer
from .backing import broker_url, chain_tag, ledger_settings, publication_folder
from .errors import PortInUse
from .guard.guard import Guard
from .keys.sources import open_key
from .monitoring.counted import Counted
from .monitoring.load import Load
from .monitoring.monitor import Monitor, Watched, Ways
from .monitoring.pipeline import Pipeline
from .p2p.keeping import RecordKeeper
from .server.app import node_app
from .server.challenges import ChallengeEndpoints
from .server.checkpoints import CheckpointEndpoints
from .server.health import Health, HealthCheck
from .server.inference import InferenceEndpoint
from .server.metrics import MetricsEndpoints
from .server.protocol import SocketProtocol
from .server.socket import SocketEndpoint
from .server.status import NodeFacts, ServedModel, StatusEndpoints
from .serving_model import engine_settings, served_models
from .sessions.authority import SessionAuthority
from .sessions.challenges import WalletChallenges
from .sessions.live import Serving
from .sessions.news import ProofNews
from .sessions.rules import SessionRules
from .sessions.sessions import Sessions
from .settings import NodeSettings

log = logging.getLogger(__name__)

_SEND_BUFFER_BYTES = 64 << 10
_PING_SECONDS = 20.0
_PONG_SECONDS = 60.0
_FRAME_ROOM = 4
"""The transport takes frames this many times too large, so that they get an error with a code."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """Where a node is, and what it serves."""

    url: str
    address: Address
    models: tuple[ServedModel, ...]


class Node:
    """The whole of a host's node in one event loop. Runs from `async with` until its end.

    Raises, at `async with`:
        HostKeyError, ModelError, ModelNotRegistered, ChainError, LedgerError, PortInUse: nothing is
            left running.
    """

    def __init__(
        self,
        settings: NodeSettings,
        network: Network,
        rules: SessionRules | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monitoring: Ways | None = None,
    ) -> None:
        """Args:
        rules: In place of those that the settings name, for tests.
        clock_ms: Unix time in milliseconds, for tests.
        monitoring: How the node is watched, for tests.
        """
        self._settings = settings
        self._network = network
        self._rules = rules or SessionRules.of(settings)
        self._clock_ms = clock_ms
        self._monitoring = monitoring or Ways(clock_ms=clock_ms)
        self.counted = Counted()
        self._parts = contextlib.AsyncExitStack()
        self._ringing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._parts.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        log.info("stopping")
        await self.sessions.drain(self._settings.drain_seconds)
        await self._parts.aclose()

    async def _start(self) -> None:
        settings, parts = self._settings, self._parts
        self.guard = Guard.of(settings, self.counted)
        self._key = await asyncio.to_thread(open_key, settings)
        self.chain = await parts.enter_async_context(Chain(self._network))
        tag = await chain_tag(self.chain)
        self.engine = await parts.enter_async_context(await Engine.load(engine_settings(settings)))
        models = await served_models(self.chain, self.engine)
        self.ledger = await parts.enter_async_context(
            await Ledger.open(ledger_settings(settings, tag), self._clock_ms)
        )
        published = PublicationFolder(publication_folder(settings), self._key.address)
        self._doorbell = Doorbell(open_broker(broker_url(settings)), tag)
        self.sessions = await parts.enter_async_context(self._sessions(models))
        await self.sessions.start()
        news = ProofNews(self.ledger.jobs, self.sessions, self._clock_ms)
        parts.push_async_callback(ended, asyncio.create_task(news.run()))
        self.sockets = SocketEndpoint(
            self.sessions,
            self._key.address,
            settings.max_connections,
            self.guard,
            settings.idle_connection_seconds,
        )
        network = self._network
        facts = NodeFacts(
            __version__, commit(), network.chain_id, network.name, models, settings.trace
        )
        health = Health(self._checks())
        self.monitor = await parts.enter_async_context(self._monitor(health))
        app = node_app(
            StatusEndpoints(facts, health, self.monitor),
            ChallengeEndpoints(self._key, self.sessions.admission.challenges),
            CheckpointEndpoints(published),
            chain_id=self._network.chain_id,
            more_routes=[
                *self.sockets.routes(),
                *InferenceEndpoint(self.sessions, settings.max_prompt_bytes).routes(),
                *MetricsEndpoints(self.monitor, settings.metrics_token.get_secret_value()).routes(),
            ],
            guard=self.guard,
        )
        server = WebServer(
            app,
            host=settings.api_host,
            port=settings.api_port,
            send_buffer_bytes=_SEND_BUFFER_BYTES,
            ws=SocketProtocol,
            ws_max_size=_FRAME_ROOM * MAX_FRAME_BYTES,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PONG_SECONDS,
            ws_per_message_deflate=False,
        )
        try:
            await parts.enter_async_context(server)
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {settings.api_host}, port {settings.api_port}",
                got=error.strerror or error,
            ) from error
        if settings.p2p_enabled:
            ids = tuple(model.id for model in models)
            record = RecordKeeper(self.chain, self._key, ids, settings.data_folder)
            await parts.enter_async_context(record.running())
        self.report = NodeReport(server.url, self._key.address, models)
        log.info("serving %s on %s", ", ".join(model.name for model in models), server.url)

    def _sessions(self, models: tuple[ServedModel, ...]) -> Sessions:
        settings, network = self._settings, self._network
        serving = Serving(
            engine=self.engine,
            chat=ChatFormat(self.engine.vocabulary, self.engine.chat_template),
            ledger=self.ledger,
            checkpoint_tokens=Tokens(settings.checkpoint_tokens),
            weights_root=self.engine.weights.root,
            clock_ms=self._clock_ms,
            on_job=self._ring,
            counted=self.counted,
        )
        ids = frozenset(model.id for model in models)
        return Sessions(
            serving,
            SessionAuthority(self.chain, self._key.address, ids),
            WalletChallenges(network.chain_id, network.marketplace, self._key.address),
            self._key,
            self._rules,
            guard=self.guard.prompts,
        )

    def _monitor(self, health: Health) -> Monitor:
        settings = self._settings
        watched = Watched(
            network=self._network,
            host=self._key.address,
            data_folder=settings.data_folder,
            public_url=settings.public_url,
            version=__version__,
            commit=commit(),
            zkvm=ZKVM,
        )
        pipeline = Pipeline(self.ledger.jobs)
        return Monitor(
            watched, self.counted, pipeline, self._load, health.is_healthy, self._monitoring
        )

    def _load(self) -> Load:
        return Load(
            connections=len(self.sockets),
            active_sessions=self.sessions.active,
            queued=self.engine.waiting,
            generating=self.engine.running,
            sequences=self.engine.settings.sequences,
            is_model_loaded=self.engine.is_running,
            is_draining=self.sessions.is_stopping,
        )

    def _ring(self, job_id: str) -> None:
        """Tells workers of a job. Nothing waits for it: they would find the job by themselves."""
        if kind_of(job_id) is JobKind.SETTLEMENT:
            ringing = self._doorbell.ring(JobQueue.SETTLEMENT, Actor.SETTLE, job_id)
        else:
            ringing = self._doorbell.ring(JobQueue.LIVE, Actor.PROVE, job_id)
        task = asyncio.create_task(ringing)
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    def _checks(self) -> list[HealthCheck]:
        async def chain() -> str | None:
            reading = self.monitor.chain
            if reading.is_reachable:
                return None
            return f"no answer for {reading.silent_seconds:.0f} s"

        async def engine() -> str | None:
            return None if self.engine.is_running else "the model has stopped"

        async def ledger() -> str | None:
            await self.ledger.open_sessions()
            return None

        return [
            HealthCheck("chain", chain),
            HealthCheck("model", engine, is_vital=True),
            HealthCheck("ledger", ledger, is_vital=True),
        ]
