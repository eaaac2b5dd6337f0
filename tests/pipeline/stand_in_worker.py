"""`fabstir-llm-node worker` for proofs, with the stand-in in place of the provers: it proves
nothing. Everything else of the process is the real worker's.

`python -m tests.pipeline.stand_in_worker`
"""

from __future__ import annotations

import asyncio
import os

from platformless.console import stop_requested
from platformless.node.logs import set_up_logging
from platformless.node.reading_settings import load_worker_settings
from platformless.node.workers.command import READY
from platformless.node.workers.proofs import ProofWorker
from platformless.prover.pipeline.provers import Provers

from .stand_in import StandInProver

SECONDS = "STAND_IN_SECONDS"
"""How long what is no proof takes."""


async def _work() -> None:
    settings, network = load_worker_settings(env_file=None)
    set_up_logging(settings)
    stopping = stop_requested()
    prover = StandInProver(seconds=float(os.environ[SECONDS]))
    async with ProofWorker(settings, network, provers=Provers({"cpu": prover})):
        print(f"{READY}: stand-in", flush=True)
        await stopping.wait()


if __name__ == "__main__":
    asyncio.run(_work())
