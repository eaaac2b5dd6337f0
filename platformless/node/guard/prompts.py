"""What may be asked in sessions: by which wallet, how often, how much."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Self

from ...protocol.digests import Address
from ...protocol.frames import PromptRequest
from ..monitoring.counted import Counted
from ..settings import NodeSettings
from .blocklist import BlocklistFile
from .buckets import Buckets, Clock, Limit
from .errors import PromptTooLarge, RateLimited, SessionTooLarge, WalletBlocked

MAX_PROMPT_BYTES = 1 << 20
_MIB = 1 << 20
_SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLimits:
    """How much one wallet may ask, and one session hold."""

    rate: Limit = field(default_factory=lambda: Limit(1, 20))
    """Prompts of one wallet, over all sessions that it pays for."""
    prompt_bytes: int = MAX_PROMPT_BYTES
    """Of one prompt and the texts that end its answer, in UTF-8."""
    session_bytes: int = 64 * _MIB
    """What the transcript of one session may take in memory."""

    @classmethod
    def of(cls, settings: NodeSettings) -> Self:
        per_minute = settings.prompts_per_minute_per_wallet
        return cls(
            rate=Limit(per_minute / _SECONDS_A_MINUTE, settings.prompts_burst_per_wallet),
            prompt_bytes=settings.max_prompt_bytes,
            session_bytes=int(settings.max_session_mib * _MIB),
        )


class PromptGuard:
    """Asked before a session is begun, and before a prompt is answered: over the WebSocket and
    over HTTP alike.

    Args:
        clock: Seconds, for tests; `time.monotonic` otherwise.
    """

    def __init__(
        self,
        limits: PromptLimits | None = None,
        blocklist: BlocklistFile | None = None,
        counted: Counted | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._limits = limits or PromptLimits()
        self._blocklist = blocklist or BlocklistFile(None)
        self._counted = counted or Counted()
        self._buckets = Buckets(self._limits.rate, clock=clock)

    def require_served(self, wallet: Address) -> None:
        """Raises:
        WalletBlocked
        """
        if self._blocklist.current.blocks_wallet(wallet):
            self._count("wallet_blocked")
            raise WalletBlocked("this node does not serve this wallet", got=wallet)

    def take(self, wallet: Address, request: PromptRequest, session_bytes: int) -> None:
        """Counts a prompt, if it may be answered.

        Args:
            wallet: Who pays for the session.
            session_bytes: What the session's transcript takes in memory now.

        Raises:
            WalletBlocked, PromptTooLarge, SessionTooLarge, RateLimited
        """
        self.require_served(wallet)
        self._require_fitting(request)
        if session_bytes > self._limits.session_bytes:
            self._count("session_memory")
            raise SessionTooLarge(
                "the session's conversation is too long to go on",
                expected=f"at most {self._limits.session_bytes} bytes in memory",
                got=session_bytes,
            )
        wait_seconds = self._buckets.take(wallet.value)
        if wait_seconds:
            self._count("wallet_rate")
            rate = self._limits.rate
            raise RateLimited(
                "too many prompts of one wallet",
                wait_seconds,
                expected=f"{rate.per_second * _SECONDS_A_MINUTE:g} a minute, {rate.burst} at once",
            )

    def _require_fitting(self, request: PromptRequest) -> None:
        most = self._limits.prompt_bytes
        size = sum(len(text.encode()) for text in (request.prompt, *request.stop))
        if size > most:
            self._count("prompt_too_large")
            raise PromptTooLarge(
                "the prompt is too large", expected=f"at most {most} bytes in UTF-8", got=size
            )

    def _count(self, reason: str) -> None:
        self._counted.refused.labels(reason).inc()
