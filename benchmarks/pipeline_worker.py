"""Workers in processes of their own, for `benchmarks.pipeline`.

`python -m benchmarks.pipeline_worker prover|settlement POLL_SECONDS`

`prover` is `fabstir-llm-node worker` with a stand-in that takes no time: it proves nothing.
`settlement` is the real worker. Both ask the broker as often as is said here.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from unittest.mock import patch

from platformless.console import stop_requested
from platformless.node.logs import set_up_logging
from platformless.node.reading_settings import load_settings, load_worker_settings
from platformless.node.settings import WorkerSettings
from platformless.node.workers import proofs, settlement
from platformless.node.workers.command import READY
from platformless.node.workers.common import pipeline_rules
from platformless.node.workers.proofs import ProofWorker
from platformless.node.workers.settlement import SettlementWorker
from platformless.protocol.acknowledgement import AcknowledgementSignature
from platformless.protocol.window import Window
from platformless.prover.ledger.job_states import JobQueue
from platformless.prover.ledger.job_values import Artefact
from platformless.prover.messages import OnProgress
from platformless.prover.pipeline.provers import Provers
from platformless.prover.pipeline.rules import PipelineRules
from tests.pipeline.stand_in import StandInProver


@dataclass
class Forgetful(StandInProver):
    """The stand-in, which does not keep what it was asked for."""

    async def prove(
        self,
        window: Window,
        acknowledgement: AcknowledgementSignature | None,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        self.windows.clear()
        return await super().prove(
            window, acknowledgement, deadline_seconds=deadline_seconds, on_progress=on_progress
        )


def _prover() -> AbstractAsyncContextManager[object]:
    settings, network = load_worker_settings(env_file=None)
    set_up_logging(settings)
    provers = Provers({"cpu": Forgetful(seconds=0)})
    return ProofWorker(settings, network, [JobQueue.LIVE], provers)


def _settlement() -> AbstractAsyncContextManager[object]:
    settings, network = load_settings(env_file=None)
    set_up_logging(settings)
    return SettlementWorker(settings, network)


async def _stay(kind: str) -> None:
    stopping = stop_requested()
    async with _prover() if kind == "prover" else _settlement():
        print(f"{READY}: {kind}", flush=True)
        await stopping.wait()


def main(kind: str, poll_seconds: float) -> None:
    def asking_so_often(settings: WorkerSettings) -> PipelineRules:
        return replace(pipeline_rules(settings), poll_seconds=poll_seconds)

    with (
        patch.object(proofs, "pipeline_rules", asking_so_often),
        patch.object(settlement, "pipeline_rules", asking_so_often),
    ):
        asyncio.run(_stay(kind))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
