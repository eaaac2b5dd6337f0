"""The doorbell: tells workers that there is something to do.

A message carries an actor's name and a job's id, nothing else. The ledger has everything; a bell
that nobody hears is rung again by `pipeline.reconciling`.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import logging

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from ..ledger.job_states import JobKind, JobQueue, JobState

log = logging.getLogger(__name__)


class Actor(enum.Enum):
    """Who is to come."""

    PROVE = "prove"
    SAMPLE = "sample"
    PUBLISH = "publish"
    PUBLISH_SAMPLE = "publish-sample"
    SUBMIT = "submit"
    SETTLE = "settle"


_NEXT = {
    JobState.RECORDED: Actor.PROVE,
    JobState.PROVING: Actor.PROVE,
    JobState.PROVEN: Actor.PUBLISH,
    JobState.PUBLISHED: Actor.SUBMIT,
    JobState.SUBMITTED: Actor.SUBMIT,
}


def actor_for(kind: JobKind, state: JobState) -> Actor:
    """Whose turn it is with an open job."""
    if kind is JobKind.SETTLEMENT:
        return Actor.SETTLE
    if kind is JobKind.SAMPLE:
        return Actor.PUBLISH_SAMPLE if state is JobState.PROVEN else Actor.SAMPLE
    return _NEXT[state]


def queue_name(chain: str, queue: JobQueue) -> str:
    """Chains that share a broker have queues of their own."""
    return f"c{hashlib.sha256(chain.encode()).hexdigest()[:12]}.{queue.value}"


class Doorbell:
    """Rings for one chain. A broker that cannot be reached is logged, no more."""

    def __init__(self, broker: dramatiq.Broker, chain: str) -> None:
        self._broker = broker
        self._chain = chain

    def name(self, queue: JobQueue) -> str:
        """What the queue is called at the broker."""
        return queue_name(self._chain, queue)

    async def ring(self, queue: JobQueue, actor: Actor, *job_ids: str) -> None:
        """One message a job."""
        await asyncio.to_thread(self._ring, queue, actor, job_ids)

    async def waiting(self, queue: JobQueue) -> int | None:
        """How many messages nobody has finished with; None when the broker cannot tell."""
        return await asyncio.to_thread(self._waiting, queue)

    def _ring(self, queue: JobQueue, actor: Actor, job_ids: tuple[str, ...]) -> None:
        try:
            for job_id in job_ids:
                self._broker.enqueue(
                    dramatiq.Message(
                        queue_name=self.name(queue),
                        actor_name=actor.value,
                        args=(job_id,),
                        kwargs={},
                        options={},
                    )
                )
        except Exception as error:
            log.warning("the broker cannot be told of %s %s: %s", actor.value, job_ids, error)

    def _waiting(self, queue: JobQueue) -> int | None:
        try:
            if isinstance(self._broker, RabbitmqBroker):
                return int(self._broker.get_queue_message_counts(self.name(queue))[0])
            return int(self._broker.do_qsize(self.name(queue)))  # type: ignore[attr-defined]
        except Exception as error:
            log.warning("the broker cannot be asked: %s", error)
            return None
