"""The sessions of a node that are in use, and what happens to those that are left alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from ...chain.errors import ChainError
from ...closing import AsyncClosing
from ...errors import PlatformlessError
from ...log_context import about
from ...protocol.frames import PromptRequest
from ...protocol.host_key import HostKey
from ...protocol.replies import Reply
from ...prover.ledger.errors import LedgerError, NotInLedger
from ...prover.ledger.job_values import settlement_job
from ...prover.ledger.values import Changes, KeptSession
from ..errors import (
    AnswerUnderWay,
    JobNotFound,
    JobTimedOut,
    SessionError,
    SessionHasEnded,
    SessionStateLost,
    ShuttingDown,
    TooManySessions,
)
from ..guard.prompts import PromptGuard
from ..monitoring.prompts import counted_prompt
from .admission import Admission
from .answering import AnswerEnd, AnswerOutput
from .authority import AdmittedSession, SessionAuthority
from .challenges import WalletChallenges
from .live import LiveSession, Serving
from .recorder import Recorder
from .rules import SessionRules
from .telling import tell_answered, tell_ended, tell_taken_up

log = logging.getLogger(__name__)
_STALE_SECONDS = 120.0
_LOCKS = 64
_LAST_WORD_SECONDS = 0.5
_CANCELLED_SECONDS = 5.0
"""For answers that were cancelled as the node stops. One whose client reads nothing never ends."""
_ASKED_AT_ONCE = 16
"""Sessions about which the chain is asked at the same time when they are looked after."""


class Sessions(AsyncClosing):
    """Belongs to one event loop. Use as an asynchronous context manager."""

    def __init__(
        self,
        serving: Serving,
        authority: SessionAuthority,
        challenges: WalletChallenges,
        host_key: HostKey,
        rules: SessionRules | None = None,
        clock: Callable[[], float] = time.monotonic,
        guard: PromptGuard | None = None,
    ) -> None:
        self._serving = serving
        self._authority = authority
        self._rules = rules or SessionRules()
        self._clock = clock
        self._guard = guard or PromptGuard()
        self.admission = Admission(
            self._let_in,
            serving.ledger,
            challenges,
            host_key,
            self._rules,
            clock,
            serving.counted,
        )
        """Who is let in."""
        self._live: dict[int, LiveSession] = {}
        self._left: dict[int, float] = {}
        """Sessions that nobody uses now and that did not end, and since when."""
        self._entering = [asyncio.Lock() for _ in range(_LOCKS)]
        self._stopping = False
        self._tending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._live)

    @property
    def answering(self) -> int:
        """How many sessions are being answered."""
        return sum(session.is_answering for session in self._live.values())

    @property
    def active(self) -> int:
        """How many sessions have a connection, or are being answered."""
        return sum(
            bool(session.listeners) or session.is_answering for session in self._live.values()
        )

    @property
    def is_stopping(self) -> bool:
        """Whether no more prompts are taken."""
        return self._stopping

    async def start(self) -> None:
        """Takes up what an earlier process left: unfinished answers become entries, and
        checkpoints are cut where the contract takes their claim."""
        for session_id in await self._serving.ledger.open_sessions():
            try:
                session = await self._enter(session_id)
                await session.cut()
            except JobTimedOut:
                self._left[session_id] = self._clock()
                await self._end_left(session_id)  # at once: anyone else may as well
                continue
            except PlatformlessError as error:
                log.warning("session %d is not taken up: %s", session_id, error)
            self._live.pop(session_id, None)
            self._left[session_id] = self._clock()
        rounds = (self._cut_round, self._chain_round)  # checkpoints do not wait for the chain
        self._tending = {asyncio.create_task(self._tend(one)) for one in rounds}

    async def refresh(self, session: LiveSession) -> None:
        """Asks the chain again about a session, if that is a while ago. A chain that cannot be
        asked is borne for two minutes.

        Raises:
            SessionError: when the session may no longer be served.
            ChainError
        """
        if self._stopping:
            raise ShuttingDown("the node is about to stop")
        age = time.monotonic() - session.admitted_at
        if age < self._rules.recheck_seconds:
            return
        try:
            session.admitted = await self._authority.admit(session.id)
        except ChainError as error:
            if age > _STALE_SECONDS:
                raise
            log.warning("the chain cannot be asked about session %d: %s", session.id, error)
            return
        session.admitted_at = time.monotonic()

    async def answer(
        self, session: LiveSession, request: PromptRequest, output: AnswerOutput
    ) -> AnswerEnd:
        """`LiveSession.answer`, when the guard lets the prompt be answered and the chain still lets
        the session be served. A session whose ledger failed is read anew when its client comes
        again."""
        counted = self._serving.counted
        with about(session=session.id), session.taken(), counted_prompt(counted, output) as through:
            held = 0 if session.recorder is None else session.recorder.memory_bytes
            self._guard.take(session.admitted.session.client, request, held)
            await self.refresh(session)
            self._use(session)
            try:
                end = await session.answer(request, through)
            except LedgerError:
                session.stale = True
                raise
            finally:
                session.left_at = self._clock()
            counted.prompts.labels(end.reason).inc()
            tell_answered(session, end)
            return end

    def listen(self, session: LiveSession, listener: Callable[[Reply], None]) -> None:
        """A connection of the session: it is told of proofs, and keeps the session alive."""
        self._use(session)
        session.listeners.add(listener)

    def leave(self, session: LiveSession, listener: Callable[[Reply], None]) -> None:
        """The connection is gone."""
        session.listeners.discard(listener)
        session.left_at = self._clock()

    async def end(self, session: LiveSession) -> tuple[int, int]:
        """The client is done with the session: its last checkpoint is cut, its key is wiped.
        Returns tokens, and tokens unclaimed.

        Raises:
            AnswerUnderWay, LedgerError
        """
        ends = session.recorder is not None and not session.recorder.ended
        try:
            tokens, unclaimed = await session.end()
        except LedgerError:
            session.stale = True
            raise
        self.admission.keys.end(session.id)
        if ends:
            tell_ended(session, tokens, unclaimed)
        return tokens, unclaimed

    def tell(self, session_id: int, reply: Reply) -> bool:
        """Hands a frame to the session's connections. Whether the session is in use."""
        session = self._live.get(session_id)
        if session is None:
            return False
        session.tell(reply)
        return True

    async def drain(self, seconds: float) -> None:
        """No more prompts; answers may go on for so long, then they are cancelled. Checkpoints are
        cut, at first of the sessions that are idle: whoever stops the node may lose patience."""
        self._stopping = True
        interrupted = self.answering > 0
        for session in self._live.values():
            session.stop()
        silent_by = asyncio.get_running_loop().time() + seconds
        await self._cut_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(silent_by):
                await self._until_silent()
        for session in self._live.values():
            session.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CANCELLED_SECONDS):
                await self._until_silent()
        if interrupted:  # their clients sign what they have got
            await asyncio.sleep(_LAST_WORD_SECONDS)
        for session in list(self._live.values()):
            if session.is_answering:
                log.warning("session %d: its client does not read its answer", session.id)
                await self._cut_within(session)
        await self._cut_all()

    async def close(self) -> None:
        """Stops looking after sessions. Answers must have ended (`drain`)."""
        for task in self._tending:
            task.cancel()
        if self._tending:
            await asyncio.wait(self._tending)
        self._tending = set()

    def live(self) -> list[int]:
        """The sessions that are in use, by their numbers."""
        return list(self._live)

    def _use(self, session: LiveSession) -> None:
        self._live[session.id] = session
        self._left.pop(session.id, None)

    async def _let_in(self, session_id: int) -> LiveSession:
        """`_enter` for a client: when there is room, and its wallet is not blocked.

        Raises:
            TooManySessions, WalletBlocked
        """
        most = self._rules.live_sessions
        if session_id not in self._live and len(self._live) >= most:
            raise TooManySessions("too many sessions are in use", expected=f"at most {most}")
        session = await self._enter(session_id)
        self._guard.require_served(session.admitted.session.client)
        return session

    async def _enter(self, session_id: int) -> LiveSession:
        """The live session, from the chain and the ledger when it is not in use yet.

        Raises:
            SessionError: when it may not be served.
            ChainError, LedgerError
        """
        if self._stopping:
            raise ShuttingDown("the node is about to stop")
        async with self._entering[session_id % _LOCKS]:
            session = self._live.get(session_id)
            if session is not None and not session.stale:
                await self.refresh(session)
            else:
                session = await self._load(session_id)
                self._use(session)
                tell_taken_up(session)
        if session.recorder is not None and session.recorder.ended:
            raise SessionHasEnded(f"session {session_id} was ended by its client")
        return session

    async def _load(self, session_id: int, *, timed_out_too: bool = False) -> LiveSession:
        serving = self._serving
        admitted = await self._authority.admit(session_id, timed_out_too=timed_out_too)
        kept = await serving.ledger.session(session_id)
        _require_same(session_id, admitted, kept)
        binding = await serving.ledger.binding(session_id)
        recorder = None
        if kept is not None:
            recorder = await Recorder.resume(
                serving.ledger,
                kept,
                admitted.claim_rules(),
                serving.checkpoint_tokens,
                serving.clock_ms,
                serving.on_job,
                serving.engine.record,
            )
        session = LiveSession(serving, session_id, admitted, binding, recorder, self._rules)
        session.left_at = self._clock()
        return session

    async def _until_silent(self) -> None:
        while self.answering:
            await asyncio.sleep(0.01)

    async def _tend(self, look: Callable[[], Awaitable[None]]) -> None:
        """Rounds, for ever: one that fails is not the last."""
        while True:
            await asyncio.sleep(self._rules.tend_seconds)
            try:
                await look()
            except Exception:
                log.exception("sessions could not be looked after")

    async def _cut_round(self) -> None:
        """Cuts what is to be cut now; asks the ledger alone."""
        self.admission.keys.sweep()
        for session in list(self._live.values()):
            await self._look_after(session)

    async def _chain_round(self) -> None:
        """What the chain is asked for: one slow answer does not keep the other sessions waiting."""
        at_once = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def guarded(session_id: int, work: Callable[[], Awaitable[None]]) -> None:
            async with at_once:
                try:
                    await work()
                except Exception:
                    log.exception("session %d could not be looked after", session_id)

        works: list[tuple[int, Callable[[], Awaitable[None]]]] = []
        for session in self._live.values():
            if session.is_answering:
                if self._needs_news(session):
                    works.append((session.id, partial(self._ask_again, session)))
            elif session.stale:
                works.append((session.id, partial(self._read_anew, session)))
        for session_id, since in self._left.items():
            if self._clock() - since >= self._rules.settle_seconds:
                works.append((session_id, partial(self._end_left, session_id)))
        await asyncio.gather(*(guarded(*one) for one in works))

    async def _end_left(self, session_id: int) -> None:
        """Ends a session whose client has left: the last checkpoint is cut, and the session is
        settled. One that the chain no longer lets be served is settled as it is; one that has
        merely timed out may still be claimed."""
        if self._left.pop(session_id, None) is None:
            return  # its client came back meanwhile
        try:
            try:
                session = await self._enter(session_id)
            except JobTimedOut as error:
                log.warning("session %d is ended late: %s", session_id, error)
                session = await self._enter_late(session_id)
            if not session.listeners and not session.is_answering:
                await self.end(session)
                self._live.pop(session_id, None)
                self._left.pop(session_id, None)
        except SessionHasEnded:
            self._live.pop(session_id, None)
        except (ShuttingDown, AnswerUnderWay):
            self._left[session_id] = self._clock()
        except JobNotFound as error:  # the chain had it once: this endpoint is behind
            self._end_later(session_id, error)
        except SessionError as error:
            log.warning("session %d is settled as it is: %s", session_id, error)
            await self._settle_as_is(session_id)
        except PlatformlessError as error:
            self._end_later(session_id, error)

    def _end_later(self, session_id: int, error: PlatformlessError) -> None:
        log.warning("session %d cannot be ended now: %s", session_id, error)
        self._left[session_id] = self._clock()

    async def _enter_late(self, session_id: int) -> LiveSession:
        """A session that has timed out, to be ended: nobody else may use it.

        Raises:
            SessionError, ChainError, LedgerError
        """
        async with self._entering[session_id % _LOCKS]:
            session = self._live.get(session_id)
            if session is not None and not session.stale:
                return session
            return await self._load(session_id, timed_out_too=True)

    async def _settle_as_is(self, session_id: int) -> None:
        try:
            await self._serving.ledger.append(session_id, Changes(ended=True))
        except NotInLedger:
            return
        except LedgerError as error:
            log.warning("session %d cannot be ended now: %s", session_id, error)
            self._left[session_id] = self._clock()
        else:
            self._serving.on_job(settlement_job(session_id))

    async def _look_after(self, session: LiveSession) -> None:
        if session.is_answering:
            # Its stream cuts as it goes on. Where its client reads nothing, it does not go on.
            if session.proof_is_due():
                await self._cut_within(session)
            return
        if session.stale:
            return  # it is read anew first
        gone = not session.listeners
        waited = self._clock() - session.left_at
        if gone and waited >= self._rules.grace_seconds:
            if await self._cut(session) and not session.listeners and not session.is_answering:
                self._live.pop(session.id, None)
                if session.recorder is not None and not session.recorder.ended:
                    self._left[session.id] = session.left_at
        elif session.proof_is_due():
            await self._cut(session)

    def _needs_news(self, session: LiveSession) -> bool:
        """Whether the chain may know of a proof that puts off the next one."""
        recheck, now = self._rules.recheck_seconds, time.monotonic()
        asked = now - max(session.admitted_at, session.asked_at)
        return asked >= recheck and session.seconds_until_due <= 2 * recheck

    async def _ask_again(self, session: LiveSession) -> None:
        """In the middle of an answer, which goes on whatever the chain says."""
        session.asked_at = time.monotonic()
        try:
            await self.refresh(session)
        except PlatformlessError as error:
            log.warning("session %d, which is being answered: %s", session.id, error)

    async def _read_anew(self, session: LiveSession) -> None:
        """So that it is looked after also when its client does not come again."""
        try:
            await self._enter(session.id)
        except SessionError as error:
            log.warning("session %d is not taken up: %s", session.id, error)
            self._live.pop(session.id, None)
            self._left[session.id] = session.left_at
        except PlatformlessError as error:
            log.warning("session %d cannot be read now: %s", session.id, error)

    async def _cut_all(self) -> None:
        """Of sessions that are not being answered."""
        for session in list(self._live.values()):
            await self._cut(session)

    async def _cut_within(self, session: LiveSession) -> None:
        """Cuts what there is of an answer. What is known here stays in use if that fails: the
        answer's stream finds out whether it is wrong."""
        try:
            await session.cut_within()
        except Exception:
            log.exception("session %d: a checkpoint could not be cut", session.id)

    async def _cut(self, session: LiveSession) -> bool:
        """Whether nothing stood in the way."""
        try:
            await session.cut()
        except Exception as error:
            session.stale = session.stale or isinstance(error, LedgerError)
            log.exception("session %d: a checkpoint could not be cut", session.id)
            return False
        return True


def _require_same(session_id: int, admitted: AdmittedSession, kept: KeptSession | None) -> None:
    """Raises:
    SessionStateLost: when the chain has proofs of tokens that the ledger does not know.
    """
    known = kept.checkpoints[-1].tokens_after if kept is not None and kept.checkpoints else 0
    proven = admitted.session.tokens_proven
    if proven > known:
        raise SessionStateLost(
            f"the transcript of session {session_id} is not here",
            expected=f"{proven} tokens in checkpoints, as proven on chain",
            got=f"{known} tokens",
        )
