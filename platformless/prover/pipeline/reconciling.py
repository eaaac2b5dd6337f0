"""Reconciling: what the ledger says is to be done, and nobody was told of, is rung for.

So a wiped broker, a lost message and a dead worker's job are all the same, and harmless. The bell
is not rung while as many messages wait as there are jobs: a queue does not grow by this.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection

from ...errors import PlatformlessError
from ..broker.doorbell import Actor, Doorbell, actor_for
from ..ledger.job_states import PROOF_QUEUES, JobKind, JobQueue
from ..ledger.job_values import SETTLEMENT_SUFFIX
from ..ledger.jobs import Jobs
from .rules import PipelineRules

log = logging.getLogger(__name__)
_AT_A_TIME = 64


class Reconciler:
    """For the queues that a worker serves."""

    def __init__(
        self, jobs: Jobs, doorbell: Doorbell, queues: Collection[JobQueue], rules: PipelineRules
    ) -> None:
        self._jobs = jobs
        self._doorbell = doorbell
        self._queues = frozenset(queues)
        self._rules = rules

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            try:
                await self.round()
            except PlatformlessError as error:
                log.warning("not reconciled: %s", error)
            except Exception:
                log.exception("not reconciled")
            await asyncio.sleep(self._rules.reconcile_seconds)

    async def round(self) -> None:
        """Rings for what is ready. Raises `LedgerUnavailable`."""
        for queue in PROOF_QUEUES:
            if queue in self._queues:
                ids = await self._jobs.ready_proofs(queue, _AT_A_TIME)
                await self._ring(queue, Actor.PROVE, ids)
        if JobQueue.SETTLEMENT in self._queues:
            ready = await self._jobs.ready_steps(_AT_A_TIME)
            by_actor: dict[Actor, list[str]] = defaultdict(list)
            for job_id, state in ready:
                kind = (
                    JobKind.SETTLEMENT if job_id.endswith(SETTLEMENT_SUFFIX) else JobKind.CHECKPOINT
                )
                by_actor[actor_for(kind, state)].append(job_id)
            waiting = await self._doorbell.waiting(JobQueue.SETTLEMENT)
            if ready and (waiting is None or waiting < len(ready)):
                for actor, ids in by_actor.items():
                    await self._doorbell.ring(JobQueue.SETTLEMENT, actor, *ids)

    async def _ring(self, queue: JobQueue, actor: Actor, ids: list[str]) -> None:
        if not ids:
            return
        waiting = await self._doorbell.waiting(queue)
        missing = ids if waiting is None else ids[waiting:]
        if missing:
            await self._doorbell.ring(queue, actor, *missing)
