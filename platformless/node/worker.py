"""`fabstir-llm-node worker`: builds proofs, or submits and settles, until SIGINT or SIGTERM.

One process serves either the queues of proofs, and needs no key of the host's, or the queue
`settlement`, and is the only one that sends the host's transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from eth_account import Account

from ..chain.connection import Chain
from ..chain.errors import RpcError
from ..chain.networks import Network
from ..chain.sending.sender import TransactionSender
from ..chain.sending.settings import SenderSettings
from ..console import Output, stop_requested
from ..prover.broker.doorbell import Actor, Doorbell
from ..prover.broker.opening import open_broker
from ..prover.ledger.job_states import PROOF_QUEUES, JobQueue
from ..prover.ledger.jobs import clock_ms
from ..prover.ledger.ledger import Ledger
from ..prover.pipeline.provers import Provers
from ..prover.pipeline.proving import Proving
from ..prover.pipeline.publishing import Publishing
from ..prover.pipeline.rules import PipelineRules
from ..prover.pipeline.settling import Settling
from ..prover.pipeline.submitting import Submitting
from ..prover.pipeline.watching import ChainWatcher
from ..prover.pipeline.worker import PipelineWorker
from ..storage.publication import CheckpointPublisher
from .backing import broker_url, chain_tag, ledger_settings, portals_of, publication_folder
from .errors import QueuesRefused
from .logs import set_up_logging
from .settings import NodeSettings, WorkerSettings, load_settings, load_worker_settings

log = logging.getLogger(__name__)
READY = "worker ready"
_ASK_AGAIN_SECONDS = 2.0
_OUTBOX = "outbox.db"


def queues_of(text: str) -> frozenset[JobQueue]:
    """Raises:
    QueuesRefused: for a queue that there is none of, or for proofs and settlement in one process.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {queue.value: queue for queue in JobQueue}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise QueuesRefused(
            "no such queue", expected=", ".join(known), got=", ".join(unknown) or "none"
        )
    queues = frozenset(known[name] for name in names)
    if JobQueue.SETTLEMENT in queues and len(queues) > 1:
        raise QueuesRefused(
            "who settles has the host's key, and who proves does not need it",
            expected="settlement alone, or queues of proofs",
            got=text,
        )
    return queues


def run_worker(output: Output, queues: frozenset[JobQueue], env_file: Path) -> None:
    """Starts a worker, says `worker ready`, and stays.

    Raises:
        SettingsError, LedgerError, ProverNotFound: when it cannot be started.
    """
    if JobQueue.SETTLEMENT in queues:
        settings, network = load_settings(env_file=env_file)
        set_up_logging(settings)
        asyncio.run(_stay(output, SettlementWorker(settings, network), "settlement"))
        return
    worker_settings, network = load_worker_settings(env_file=env_file)
    set_up_logging(worker_settings)
    names = ", ".join(queue.value for queue in PROOF_QUEUES if queue in queues)
    asyncio.run(_stay(output, ProofWorker(worker_settings, network, queues), names))


async def _stay(
    output: Output, worker: contextlib.AbstractAsyncContextManager[object], names: str
) -> None:
    stopping = stop_requested()
    async with worker:
        if output.as_json:
            output.json("running", queues=names)
        else:
            output.console.print(f"{READY}: {names}")
        await stopping.wait()
        log.info("stopping")


class ProofWorker:
    """Builds proofs, one at a time, from `async with` to its end.

    Args:
        provers: In place of those that are installed, for tests.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        network: Network,
        queues: Collection[JobQueue] = PROOF_QUEUES,
        provers: Provers | None = None,
    ) -> None:
        self._settings = settings
        self._network = network
        self._queues = queues
        self._provers = provers
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> ProofWorker:
        async with AsyncExitStack() as parts:
            settings, rules = self._settings, pipeline_rules(self._settings)
            tag = await _chain_tag(self._network)
            ledger = await parts.enter_async_context(
                await Ledger.open(ledger_settings(settings, tag))
            )
            provers = await parts.enter_async_context(
                self._provers
                or await Provers.found(
                    receipt_kind=settings.receipt_kind, memory_bytes=rules.prover_memory_bytes
                )
            )
            broker = open_broker(broker_url(settings))
            doorbell = Doorbell(broker, tag)
            proving = Proving(ledger, doorbell, provers, rules, owner(), clock_ms)
            worker = PipelineWorker(
                ledger,
                broker,
                doorbell,
                self._queues,
                {Actor.PROVE: proving.prove},
                rules,
                threads=1,
            )
            await parts.enter_async_context(worker)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()


class SettlementWorker:
    """Publishes, submits and settles, from `async with` to its end. Holds the host's key."""

    def __init__(self, settings: NodeSettings, network: Network) -> None:
        self._settings = settings
        self._network = network
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> SettlementWorker:
        async with AsyncExitStack() as parts:
            settings, rules = self._settings, pipeline_rules(self._settings)
            tag = await _chain_tag(self._network)
            ledger = await parts.enter_async_context(
                await Ledger.open(ledger_settings(settings, tag))
            )
            chain = await parts.enter_async_context(Chain(self._network))
            sender = await parts.enter_async_context(
                TransactionSender(
                    chain,
                    Account.from_key(settings.private_key),
                    settings.data_folder / _OUTBOX,
                    SenderSettings(
                        confirmations=settings.confirmations,
                        poll_seconds=settings.chain_poll_seconds,
                    ),
                )
            )
            portals = await parts.enter_async_context(portals_of(settings))
            publisher = CheckpointPublisher(
                publication_folder(settings), settings.address, settings.private_key, portals
            )
            broker = open_broker(broker_url(settings))
            doorbell = Doorbell(broker, tag)
            me = owner()
            publishing = Publishing(ledger, doorbell, publisher, rules, me, clock_ms)
            submitting = Submitting(ledger, doorbell, chain, sender, rules, me, clock_ms)
            settling = Settling(ledger, chain, sender, rules, me, clock_ms)
            watcher = ChainWatcher(ledger, chain, settings.address, rules, clock_ms)
            worker = PipelineWorker(
                ledger,
                broker,
                doorbell,
                [JobQueue.SETTLEMENT],
                {
                    Actor.PUBLISH: publishing.publish,
                    Actor.SUBMIT: submitting.submit,
                    Actor.SETTLE: settling.settle,
                },
                rules,
                threads=rules.settling_at_once,
                background=[watcher.run],
            )
            await parts.enter_async_context(worker)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()


def pipeline_rules(settings: WorkerSettings) -> PipelineRules:
    """How the pipeline works, as the settings say."""
    common = PipelineRules(
        lease_seconds=settings.lease_seconds,
        most_starts=settings.most_starts,
        reconcile_seconds=settings.reconcile_seconds,
        prover_memory_bytes=int(settings.prover_memory_gib * 2**30),
    )
    if not isinstance(settings, NodeSettings):
        return common
    return replace(
        common,
        watch_seconds=settings.watch_seconds,
        retention_seconds=settings.witness_hours * 3600,
    )


def owner() -> str:
    """Names this process in leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


async def _chain_tag(network: Network) -> str:
    """Waits for a chain that is not there yet."""
    while True:
        try:
            async with Chain(network) as chain:
                return await chain_tag(chain)
        except RpcError as error:
            log.warning("waiting for the chain: %s", error)
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
