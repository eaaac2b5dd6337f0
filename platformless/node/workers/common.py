"""What workers of both kinds need."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import replace

from ...chain.connection import Chain
from ...chain.errors import RpcError
from ...chain.networks import Network
from ...prover.pipeline.rules import PipelineRules
from ..backing import chain_tag
from ..settings import NodeSettings, WorkerSettings

log = logging.getLogger(__name__)
_ASK_AGAIN_SECONDS = 2.0


def pipeline_rules(settings: WorkerSettings) -> PipelineRules:
    """How the pipeline works, as the settings say."""
    common = PipelineRules(
        lease_seconds=settings.lease_seconds,
        most_starts=settings.most_starts,
        reconcile_seconds=settings.reconcile_seconds,
        prover_memory_bytes=int(settings.prover_memory_gib * 2**30),
        sample_draws=settings.sample_draws,
        sample_one_in=settings.trace_one_in if settings.trace == "sampled" else 1,
        beacon_confirmations=settings.confirmations,
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


async def chain_tag_in_time(network: Network) -> str:
    """Waits for a chain that is not there yet."""
    while True:
        try:
            async with Chain(network) as chain:
                return await chain_tag(chain)
        except RpcError as error:
            log.warning("waiting for the chain: %s", error)
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
