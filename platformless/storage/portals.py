"""Several portals as one store.

A portal that fails rests, longer each time, while others are asked. What an error says about
itself (`disposition`) decides whether its portal is asked again for the same blob.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..closing import AsyncClosing
from ..retrying import Backoff
from .cids import BlobId
from .client import PortalClient
from .errors import (
    BadSettings,
    BlobUnavailable,
    Disposition,
    NotReplicated,
    RemoteError,
    WrongContent,
)
from .receiving import Receiver
from .source import Source
from .store import VerifiedReads

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PortalsSettings:
    """How many portals keep a blob, and how patiently they are asked."""

    copies: int = 1
    """An upload succeeds when so many portals have confirmed it."""
    read_back: bool = False
    """Whether a confirmation counts only after the blob was downloaded again and hashed."""
    patience_seconds: float = 60.0
    """Attempts begin in this time; one that has begun has its own limits."""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 60.0))
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class Replication:
    """Where an upload went: addresses of portals that confirmed, and what others answered."""

    blob: BlobId
    stored: tuple[str, ...]
    faults: tuple[tuple[str, RemoteError], ...]


@dataclass(slots=True, eq=False)
class _Portal:
    """A portal's health. Lives as long as the store."""

    client: PortalClient
    failures: int = 0
    resting_until: float = 0.0
    last_error: RemoteError | None = None


class _Round:
    """One blob's way over the portals: who may still be asked, and what went wrong."""

    def __init__(self, portals: Sequence[_Portal], settings: PortalsSettings) -> None:
        self._left = list(portals)
        self._new = set(portals)
        self._backoff = settings.backoff
        self._deadline = time.monotonic() + settings.patience_seconds
        self._faults: list[tuple[str, RemoteError]] = []

    @property
    def faults(self) -> tuple[tuple[str, RemoteError], ...]:
        """What went wrong, in order; last, why portals that still rest were not asked."""
        resting = [
            (portal.client.url, portal.last_error)
            for portal in self._left
            if portal in self._new and portal.last_error is not None
        ]
        return (*self._faults, *resting)

    def next(self) -> _Portal | None:
        """The healthiest portal left, taken out; None when none will be awake in time.

        One that is awake is asked at least once, however long the others took.
        """
        now = time.monotonic()
        ordered = sorted(
            self._left,
            key=lambda one: (max(one.resting_until, now), one not in self._new, one.failures),
        )
        if not ordered:
            return None
        portal = ordered[0]
        at_once = portal in self._new and portal.resting_until <= now
        if not at_once and max(portal.resting_until, now) > self._deadline:
            return None
        self._left.remove(portal)
        self._new.discard(portal)
        return portal

    def failed(self, portal: _Portal, error: RemoteError) -> None:
        """Notes a failure; the portal may be asked again later if that can help."""
        self._faults.append((portal.client.url, error))
        if error.disposition is Disposition.RETRY_HERE:
            self._left.append(portal)
        portal.last_error = error
        if error.disposition is Disposition.RETRY_HERE or isinstance(error, WrongContent):
            portal.failures += 1
            rest = error.rest_seconds
            if rest is None:
                rest = self._backoff.rest_seconds(portal.failures)
            portal.resting_until = time.monotonic() + rest
            _log.warning(
                "portal rests portal=%s rest_seconds=%.2f error=%s", portal.client.url, rest, error
            )
        else:
            _log.warning("portal passed over portal=%s error=%s", portal.client.url, error)


class Portals(VerifiedReads, AsyncClosing):
    """A `BlobStore` on several portals, the preferred one first. Closes them at the end.

    Raises:
        BadSettings: when there are fewer portals than copies wanted, or one is named twice.
    """

    def __init__(
        self, clients: Sequence[PortalClient], settings: PortalsSettings | None = None
    ) -> None:
        self.settings = settings or PortalsSettings()
        super().__init__(scratch=self.settings.scratch)
        different = len({client.url for client in clients})
        if different < len(clients):
            raise BadSettings("a portal is named twice", expected="different addresses")
        if not 1 <= self.settings.copies <= different:
            raise BadSettings(
                "too few portals", expected=f"{max(self.settings.copies, 1)} or more", got=different
            )
        self._portals = [_Portal(client) for client in clients]

    async def close(self) -> None:
        """Closes every portal's connections."""
        for portal in self._portals:
            await portal.client.close()

    async def download(self, blob: BlobId, receiver: Receiver) -> None:
        """Lets `receiver` take the blob from the first portal that gives it rightly.

        Raises:
            BlobUnavailable: with every portal's errors.
            LocalFileFailed: at once; no other portal would help.
        """
        asked = _Round(self._portals, self.settings)
        while (portal := asked.next()) is not None:
            await asyncio.sleep(max(0.0, portal.resting_until - time.monotonic()))
            try:
                await portal.client.download(blob, receiver)
            except RemoteError as error:
                asked.failed(portal, error)
            else:
                portal.failures = 0
                return
        raise BlobUnavailable(
            f"no portal gave blob {blob}",
            expected=f"its bytes, asked for {self.settings.patience_seconds:g} s at most",
            faults=asked.faults,
        )

    async def put(self, source: bytes | Path) -> BlobId:
        """Stores bytes or a file at as many portals as `copies` says; see `replicate`."""
        return (await self.replicate(source)).blob

    async def replicate(self, source: bytes | Path) -> Replication:
        """Stores bytes or a file at `copies` portals, at that many at once.

        Raises:
            NotReplicated: with the portals that do have the blob, and every error of the others.
            LocalFileFailed, SourceChanged: at once.
        """
        prepared = await Source.of(source)
        asked = _Round(self._portals, self.settings)
        stored = await self._at_copies(asked, lambda client: self._store(client, prepared))
        return self._enough("stored", prepared.blob, stored, asked)

    async def pin(self, blob: BlobId) -> None:
        """Asks portals to keep the blob until `copies` have agreed.

        Raises:
            NotReplicated: when fewer did.
        """
        asked = _Round(self._portals, self.settings)
        stored = await self._at_copies(asked, lambda client: client.pin(blob))
        self._enough("pinned", blob, stored, asked)

    async def has(self, blob: BlobId) -> bool:
        """Whether any portal says that it has the blob. Asks each once, healthy or not.

        Raises:
            BlobUnavailable: when no portal says so and not all could answer.
        """
        answers = await asyncio.gather(
            *(portal.client.has(blob) for portal in self._portals), return_exceptions=True
        )
        faults: list[tuple[str, RemoteError]] = []
        for portal, answer in zip(self._portals, answers, strict=True):
            if answer is True:
                return True
            if isinstance(answer, RemoteError):
                faults.append((portal.client.url, answer))
            elif isinstance(answer, BaseException):
                raise answer
        if faults:
            raise BlobUnavailable(
                f"it is not known whether any portal has blob {blob}",
                expected="an answer from every portal",
                faults=faults,
            )
        return False

    async def _store(self, client: PortalClient, source: Source) -> None:
        await client.upload(source)
        if self.settings.read_back:
            await client.check(source.blob)

    async def _at_copies(
        self, asked: _Round, task: Callable[[PortalClient], Awaitable[None]]
    ) -> list[str]:
        """Does `task` at `copies` portals; fewer when no more can be had."""
        done: list[str] = []
        running: set[asyncio.Task[bool]] = set()

        async def attempt(portal: _Portal) -> bool:
            await asyncio.sleep(max(0.0, portal.resting_until - time.monotonic()))
            try:
                await task(portal.client)
            except RemoteError as error:
                asked.failed(portal, error)
                return False
            portal.failures = 0
            done.append(portal.client.url)
            return True

        try:
            while len(done) < self.settings.copies:
                while len(running) < self.settings.copies - len(done):
                    portal = asked.next()
                    if portal is None:
                        break
                    running.add(asyncio.create_task(attempt(portal)))
                if not running:
                    break
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.gather(*ended)
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return done

    def _enough(self, what: str, blob: BlobId, stored: Sequence[str], asked: _Round) -> Replication:
        if len(stored) < self.settings.copies:
            raise NotReplicated(
                f"blob {blob} is not {what} at enough portals",
                expected=f"{self.settings.copies} portals",
                stored=stored,
                faults=asked.faults,
            )
        return Replication(blob, tuple(stored), asked.faults)
