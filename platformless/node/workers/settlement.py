"""The worker that publishes, submits and settles. It holds the host's key."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from ...chain.connection import Chain
from ...chain.networks import Network
from ...chain.sending.sender import TransactionSender
from ...chain.sending.settings import SenderSettings
from ...prover.broker.doorbell import Actor, Doorbell
from ...prover.broker.opening import open_broker
from ...prover.ledger.job_states import JobQueue
from ...prover.ledger.jobs import clock_ms
from ...prover.ledger.ledger import Ledger
from ...prover.pipeline.context import StepContext
from ...prover.pipeline.publishing import Publishing
from ...prover.pipeline.sample_publishing import SamplePublishing
from ...prover.pipeline.settling import Settling
from ...prover.pipeline.submitting import Submitting
from ...prover.pipeline.taking_over import TakingOver
from ...prover.pipeline.watching import ChainWatcher
from ...prover.pipeline.worker import PipelineWorker
from ...storage.publication import CheckpointPublisher
from ..backing import broker_url, ledger_settings, portals_of, publication_folder
from ..keys.sources import open_key
from ..settings import NodeSettings
from .common import chain_tag_in_time, owner, pipeline_rules

OUTBOX = "outbox.db"
"""In the data folder: every transaction of the host."""


class SettlementWorker:
    """Publishes, submits and settles, from `async with` to its end. Holds the host's key."""

    def __init__(self, settings: NodeSettings, network: Network) -> None:
        self._settings = settings
        self._network = network
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> SettlementWorker:
        async with AsyncExitStack() as parts:
            settings, rules = self._settings, pipeline_rules(self._settings)
            key = await asyncio.to_thread(open_key, settings)
            tag = await chain_tag_in_time(self._network)
            ledger = await parts.enter_async_context(
                await Ledger.open(ledger_settings(settings, tag))
            )
            chain = await parts.enter_async_context(Chain(self._network))
            sender = await parts.enter_async_context(
                TransactionSender(
                    chain,
                    key,
                    settings.data_folder / OUTBOX,
                    SenderSettings(
                        confirmations=settings.confirmations,
                        poll_seconds=settings.chain_poll_seconds,
                    ),
                )
            )
            portals = await parts.enter_async_context(portals_of(settings))
            publisher = CheckpointPublisher(publication_folder(settings), key, portals)
            broker = open_broker(broker_url(settings))
            doorbell = Doorbell(broker, tag)
            context = StepContext(ledger, doorbell, rules, owner(), clock_ms)
            taking_over = TakingOver(ledger, chain, publisher, portals)
            publishing = Publishing(context, publisher, taking_over)
            submitting = Submitting(context, chain, sender)
            settling = Settling(context, chain, sender, publisher)
            samples = SamplePublishing(context, chain, publisher)
            watcher = ChainWatcher(ledger, chain, key.address, rules, clock_ms)
            worker = PipelineWorker(
                ledger,
                broker,
                doorbell,
                [JobQueue.SETTLEMENT],
                {
                    Actor.PUBLISH: publishing.publish,
                    Actor.PUBLISH_SAMPLE: samples.publish,
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
