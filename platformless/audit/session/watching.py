"""Watching a host: every session that is opened with it is audited once it is over.

What is known is one small value, `Watched`, that the caller keeps: after a stop or a crash the
watch goes on from it. A session whose audit cannot run (chain or storage down) is tried again,
later each time; when all tries are used up, that is what is told of it. Sampled cells are proven
after a session is settled: where the policy asks for them, they are waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from msgspec import Struct

from ...chain.connection import Chain
from ...chain.errors import ChainError
from ...chain.events import SessionEvents
from ...chain.marketplace import Marketplace
from ...chain.session import SessionStatus
from ...decoding import decode_json
from ...errors import PlatformlessError
from ...protocol.digests import Address
from ...retrying import Backoff
from ..evidence import Downloads
from .audit import audit_session
from .errors import WatchStateBroken
from .inputs import AuditInputs
from .report import AuditReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How a host is watched. Times in seconds."""

    confirmations: int = 5
    """Blocks that must follow before an opening counts: fewer may be reorganised away."""
    poll_seconds: float = 10.0
    tries: int = 8
    """Of an audit that cannot run."""
    backoff: Backoff = field(default_factory=lambda: Backoff(5.0, 600.0))
    sample_patience_seconds: float = 3600.0
    """How long a session that is over may lack sample proofs that the policy asks for."""
    sample_poll_seconds: float = 60.0
    """Time between audits of one that does."""
    at_once: int = 2
    """Audits beside one another."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Where a watch stands."""

    next_block: int
    """The first block that was not looked at."""
    waiting: tuple[int, ...] = ()
    """Sessions that are not audited yet."""

    def with_waiting(self, sessions: list[int]) -> Watched:
        return replace(self, waiting=(*self.waiting, *sessions))

    def without(self, session_id: int) -> Watched:
        return replace(self, waiting=tuple(one for one in self.waiting if one != session_id))

    def encode(self) -> bytes:
        return msgspec.json.encode(
            _Document("watch/1", self.next_block, [str(one) for one in self.waiting])
        )

    @classmethod
    def decode(cls, data: bytes) -> Watched:
        """Raises:
        WatchStateBroken: when the bytes are not what `encode` writes.
        """
        try:
            fields = decode_json(data, _Document)
            return cls(fields.next_block, tuple(int(one) for one in fields.waiting))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise WatchStateBroken("not the state of a watch", got=str(error)) from error


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    next_block: int
    waiting: list[str]


@dataclass(frozen=True, slots=True)
class WatchResult:
    """What became of one session: a report, or why there is none."""

    session_id: int
    report: AuditReport | None
    problem: PlatformlessError | None

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """One line of a watch's output."""
        line: dict[str, Any] = {"format": "watch-result/1", "session": str(self.session_id)}
        if self.report is None:
            problem = self.problem.to_json() if self.problem else None
            return {**line, "outcome": "failed", "error": problem}
        report = self.report
        line |= {
            "outcome": report.outcome,
            "assurance": report.assurance.value if report.assurance else None,
            "host": str(report.session.host),
            "client": str(report.session.client),
            "tokens": report.tokens.to_json(),
            "checkpoints": len(report.checkpoints),
            "findings": [
                {"code": one.code, "severity": one.severity.value, "message": one.message}
                for one in report.findings
            ],
            "read_at": report.read_at.number,
            "made_at": report.made_at,
            "seconds": round(report.seconds, 3),
        }
        return {**line, "report": report.to_json()} if full else line


Keep = Callable[[Watched], Awaitable[None]]
"""Called with every new state, after what led to it was told."""
Tell = Callable[[WatchResult], Awaitable[None]]
"""Called once for every session, in the order in which audits end."""


class HostWatch:
    """Follows one host until it is stopped."""

    def __init__(
        self,
        chain: Chain,
        downloads: Downloads,
        host: Address,
        watched: Watched,
        *,
        tell: Tell,
        keep: Keep,
        inputs: AuditInputs | None = None,
        settings: WatchSettings | None = None,
    ) -> None:
        self.watched = watched
        self._chain = chain
        self._downloads = downloads
        self._host = host
        self._tell = tell
        self._keep = keep
        self._inputs = inputs or AuditInputs()
        self._settings = settings or WatchSettings()
        self._marketplace = Marketplace(chain)
        self._events = SessionEvents(chain)
        self._failures: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._awaited_since: dict[int, float] = {}
        self._slots = asyncio.Semaphore(self._settings.at_once)

    async def run(self, stopping: asyncio.Event, *, once: bool = False) -> None:
        """Watches until `stopping`; with `once`, until nothing is left to audit by now."""
        failures = 0
        while not stopping.is_set():
            try:
                await self._look()
                failures = 0
            except ChainError as error:
                failures += 1
                log.warning("the chain cannot be read: %s", error)
            else:
                if once and not self._not_before:
                    return
            rest = self._settings.poll_seconds
            if failures:
                rest += self._settings.backoff.rest_seconds(failures)
            try:
                await asyncio.wait_for(stopping.wait(), rest)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        """One look at the chain: new sessions, and those that are over by now."""
        last = (await self._chain.head()).number - self._settings.confirmations
        if last >= self.watched.next_block:
            opened = await self._events.opened_with(self._host, self.watched.next_block, last)
            new = [one for one in dict.fromkeys(opened) if one not in self.watched.waiting]
            await self._set(replace(self.watched, next_block=last + 1).with_waiting(new))
        now = asyncio.get_running_loop().time()
        due = [one for one in self.watched.waiting if self._not_before.get(one, 0.0) <= now]
        await asyncio.gather(*map(self._audit_if_over, due))

    async def _audit_if_over(self, session_id: int) -> None:
        async with self._slots:
            try:
                session = await self._marketplace.session(session_id)
                if session.status is SessionStatus.ACTIVE:
                    return
                report = await audit_session(self._chain, self._downloads, session_id, self._inputs)
                if self._awaits_samples(session_id, report):
                    return
            except PlatformlessError as error:
                if self._try_again(session_id, error):
                    return
                result = WatchResult(session_id, None, error)
            else:
                result = WatchResult(session_id, report, None)
            self._failures.pop(session_id, None)
            self._not_before.pop(session_id, None)
            self._awaited_since.pop(session_id, None)
            await self._tell(result)
            await self._set(self.watched.without(session_id))

    def _try_again(self, session_id: int, error: PlatformlessError) -> bool:
        failures = self._failures.get(session_id, 0) + 1
        log.warning("the audit of session %d cannot run: %s", session_id, error)
        if failures >= self._settings.tries:
            return False
        self._failures[session_id] = failures
        rest = self._settings.backoff.rest_seconds(failures)
        self._not_before[session_id] = asyncio.get_running_loop().time() + rest
        return True

    def _awaits_samples(self, session_id: int, report: AuditReport) -> bool:
        """Whether it is rejected for want of proofs that may still be published."""
        awaited = any(one.awaits_sample for one in report.checkpoints)
        if report.accepted or not awaited or not self._inputs.policy.wants_samples:
            return False
        now = asyncio.get_running_loop().time()
        since = self._awaited_since.setdefault(session_id, now)
        if now - since >= self._settings.sample_patience_seconds:
            return False
        log.info("session %d has sample proofs to come", session_id)
        self._not_before[session_id] = now + self._settings.sample_poll_seconds
        return True

    async def _set(self, watched: Watched) -> None:
        if watched != self.watched:
            self.watched = watched
            await self._keep(watched)
