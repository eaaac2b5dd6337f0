"""`fabstir-llm-node worker`: a worker, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from ...console import Output, stop_requested
from ...prover.ledger.job_states import PROOF_QUEUES, JobQueue
from ..errors import QueuesRefused
from ..logs import end_logged, set_up_logging
from ..reading_settings import load_settings, load_worker_settings

log = logging.getLogger(__name__)
_NICENESS = 10
"""Proofs that payment waits for go before sampled cells."""
READY = "worker ready"
"""How the line begins that a worker writes when it takes messages."""


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
        from .settlement import SettlementWorker  # it brings what signs transactions

        settings, network = load_settings(env_file=env_file)
        set_up_logging(settings, "settlement")
        with end_logged(settings):
            asyncio.run(_stay(output, SettlementWorker(settings, network), "settlement"))
        return
    if queues == {JobQueue.AUDIT}:
        os.nice(max(0, _NICENESS - os.nice(0)))  # it may have been started as nice
    from .proofs import SCRATCH, ProofWorker, own_scratch

    worker_settings, network = load_worker_settings(env_file=env_file)
    set_up_logging(worker_settings, "prover")
    names = ", ".join(queue.value for queue in PROOF_QUEUES if queue in queues)
    with end_logged(worker_settings), own_scratch(worker_settings.data_folder / SCRATCH):
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
