"""The watcher: compares the sessions of this host on chain with the ledger.

A session that the chain has ended needs no more proofs. One that this host was paid for and the
ledger does not know (another machine, a lost disk) is settled once it has timed out, so that
nobody's money is stuck; until then it is reported.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...chain.connection import Chain
from ...chain.errors import ChainError
from ...chain.events import SessionEvents
from ...chain.marketplace import Marketplace
from ...chain.refusals import SessionNotActive
from ...chain.session import Session, SessionStatus
from ...errors import PlatformlessError
from ...protocol.digests import Address
from ..ledger.job_states import OVER, JobKind
from ..ledger.job_values import Problem, settlement_job
from ..ledger.ledger import Ledger
from .rules import PipelineRules

log = logging.getLogger(__name__)
_LOOK_BACK_SECONDS = 7 * 86_400
_AT_A_TIME = 8
_BLOCKS_READ_AGAIN = 30
"""Each round: a node may tell of a block before it has the block's events, and a reorg moves them.
"""


class ChainWatcher:
    """Belongs to the process that settles."""

    def __init__(
        self,
        ledger: Ledger,
        chain: Chain,
        host: Address,
        rules: PipelineRules,
        clock_ms: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._chain = chain
        self._host = host
        self._rules = rules
        self._clock_ms = clock_ms
        self._marketplace = Marketplace(chain)
        self._events = SessionEvents(chain)
        self._next_block: int | None = None
        self._opened: set[int] = set()
        """Sessions with this host that were found and not looked at yet."""
        self.strangers: dict[int, Session] = {}
        """Active sessions of this host that the ledger does not know."""

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            with _told("the sessions on chain were not looked at"):
                await self.round()
            with _told("what was said in settled sessions was not deleted"):
                await self._erase()
            await asyncio.sleep(self._rules.watch_seconds)

    async def _erase(self) -> None:
        """Needs no chain: what was promised to be deleted is, also while none can be asked."""
        before_ms = self._clock_ms() - round(self._rules.retention_seconds * 1000)
        erased = await self._ledger.erase_settled(before_ms)
        if erased:
            log.info("what was said in %d settled sessions is deleted", erased)

    async def round(self) -> None:
        """A session that cannot be looked at now keeps nobody from looking at the others.

        Raises `ChainError`, `LedgerError`.
        """
        limit = asyncio.Semaphore(_AT_A_TIME)

        async def look(session_id: int) -> None:
            async with limit:
                try:
                    await self._look_at(session_id)
                except ChainError as error:
                    log.warning("session %d was not looked at: %s", session_id, error)

        await asyncio.gather(*map(look, await self._ledger.jobs.open_sessions()))
        await self._find_strangers()

    async def _look_at(self, session_id: int) -> None:
        """A session with unfinished jobs."""
        jobs = self._ledger.jobs
        session = await self._marketplace.session(session_id)
        if session.status is SessionStatus.ACTIVE:
            await jobs.set_due(session_id, session.times_out_at)
            return
        await jobs.add_settlement(session_id, session.times_out_at)
        on_chain = {proof.proof_hash for proof in await self._marketplace.proofs(session_id)}
        for job in await jobs.of_sessions([session_id]):
            if job.kind is not JobKind.CHECKPOINT or job.state in OVER:
                continue
            artefact = await jobs.artefact(job.id)
            if artefact is None or artefact.proof_hash not in on_chain:
                over = SessionNotActive(
                    f"session {session_id} was ended before checkpoint {job.number} was proven",
                    expected="active",
                    got=session.status.name.lower(),
                )
                log.warning("job %s: %s", job.id, over)
                await jobs.fail_unheld(job.id, Problem.of(over))

    async def _find_strangers(self) -> None:
        head = await self._chain.head()
        if self._next_block is None:
            self._next_block = await self._events.block_at(head.timestamp - _LOOK_BACK_SECONDS)
        first = max(0, self._next_block - _BLOCKS_READ_AGAIN)
        self._opened.update(await self._events.opened_with(self._host, first, head.number))
        self._next_block = head.number + 1
        for session_id in {*self._opened, *self.strangers}:
            try:
                session = await self._marketplace.session(session_id)
            except ChainError as error:
                log.warning("session %d was not looked at: %s", session_id, error)
                continue
            await self._look_at_opened(session, head.timestamp)
            self._opened.discard(session_id)

    async def _look_at_opened(self, session: Session, now: int) -> None:
        """A session that was opened with this host. `now` is the newest block's time."""
        self.strangers.pop(session.id, None)
        if session.status is not SessionStatus.ACTIVE or session.host != self._host:
            return  # of another host: a reorg gave the number to another session
        if await self._is_known(session.id):
            return
        if now <= session.times_out_at:
            self.strangers[session.id] = session
            return
        log.warning("session %d has timed out and is not in the ledger: it is settled", session.id)
        await self._ledger.jobs.add_settlement(session.id, session.times_out_at)

    async def _is_known(self, session_id: int) -> bool:
        if await self._ledger.jobs.find(settlement_job(session_id)) is not None:
            return True
        return await self._ledger.session(session_id) is not None


@contextmanager
def _told(failed: str) -> Iterator[None]:
    """A failure is logged; the next round tries again."""
    try:
        yield
    except PlatformlessError as error:
        log.warning("%s: %s", failed, error)
    except Exception:
        log.exception("%s", failed)
