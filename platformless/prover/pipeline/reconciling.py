"""Reconciling: what the ledger says is to be done, and nobody was told of, is rung for.

So a wiped broker, a lost message and a dead worker's job are all the same, and harmless. The bell
is not rung while as many messages wait as there are jobs: a queue does not grow by this. But when
this worker could do more, what waits is with a worker that is dead, and the broker gives it to
others after a minute only: then the bell is rung for everything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping

from ...errors import PlatformlessError
from ..broker.doorbell import Actor, Doorbell, actor_for
from ..ledger.job_states import PROOF_QUEUES, JobQueue
from ..ledger.job_values import kind_of
from ..ledger.jobs import Jobs
from .rules import PipelineRules

log = logging.getLogger(__name__)
_AT_A_TIME = 64


class Reconciler:
    """For the queues that a worker serves.

    Args:
        has_room: Whether the worker could do more than it does, so that no message waits for it.
    """

    def __init__(
        self,
        jobs: Jobs,
        doorbell: Doorbell,
        queues: Collection[JobQueue],
        rules: PipelineRules,
        has_room: Callable[[], bool],
    ) -> None:
        self._jobs = jobs
        self._doorbell = doorbell
        self._queues = frozenset(queues)
        self._rules = rules
        self._has_room = has_room

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
                actor = Actor.SAMPLE if queue is JobQueue.AUDIT else Actor.PROVE
                await self._ring(queue, dict.fromkeys(ids, actor))
        if JobQueue.SETTLEMENT in self._queues:
            ready = await self._jobs.ready_steps(_AT_A_TIME)
            actors = {job_id: actor_for(kind_of(job_id), state) for job_id, state in ready}
            await self._ring(JobQueue.SETTLEMENT, actors)

    async def _ring(self, queue: JobQueue, actors: Mapping[str, Actor]) -> None:
        """`actors`: who is to come for which job."""
        if not actors:
            return
        waiting = 0 if self._has_room() else await self._doorbell.waiting(queue) or 0
        by_actor: dict[Actor, list[str]] = defaultdict(list)
        for job_id, actor in list(actors.items())[waiting:]:
            by_actor[actor].append(job_id)
        for actor, ids in by_actor.items():
            await self._doorbell.ring(queue, actor, *ids)
