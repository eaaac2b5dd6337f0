"""Whether the node is well: named checks, asked at most every two seconds.

Anyone may ask, as often as they like: all who ask within two seconds hear the same, and one who
asks while the checks run waits for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..monitoring.condition import HealthStatus

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
KEEP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that must be well.

    `probe` returns None, or in a few words what is wrong, which strangers may read. What it
    raises goes to the log.
    """

    name: str
    probe: Callable[[], Awaitable[str | None]]
    is_vital: bool = False
    """Whether the node serves nobody without it: unhealthy, not merely degraded."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the node is."""

    status: HealthStatus
    issues: tuple[str, ...]
    vital_issues: tuple[str, ...] = ()
    """Those of them without which nobody is served."""


class Health:
    """Asks the checks, all at once.

    Args:
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(
        self,
        checks: Sequence[HealthCheck] = (),
        clock: Callable[[], float] = time.monotonic,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._checks = tuple(checks)
        self._clock = clock
        self._check_seconds = check_seconds
        self._asking = asyncio.Lock()
        self._known: HealthReport | None = None
        self._known_until = 0.0

    async def report(self) -> HealthReport:
        async with self._asking:
            if self._known is None or self._clock() >= self._known_until:
                self._known = await self._ask()
                self._known_until = self._clock() + KEEP_SECONDS
            return self._known

    async def is_healthy(self) -> bool:
        return (await self.report()).status == "healthy"

    async def _ask(self) -> HealthReport:
        found = await asyncio.gather(*map(self._issue, self._checks))
        wrong = [(check, issue) for check, issue in zip(self._checks, found, strict=True) if issue]
        vital = tuple(issue for check, issue in wrong if check.is_vital)
        status: HealthStatus = "degraded" if wrong else "healthy"
        if vital:
            status = "unhealthy"
        return HealthReport(status, tuple(issue for _, issue in wrong), vital)

    async def _issue(self, check: HealthCheck) -> str | None:
        try:
            async with asyncio.timeout(self._check_seconds):
                issue = await check.probe()
        except TimeoutError:
            return f"{check.name}: no answer within {self._check_seconds:g} s"
        except Exception:
            log.warning("the check of %s failed", check.name, exc_info=True)
            return f"{check.name}: failed"
        return f"{check.name}: {issue}" if issue else None
