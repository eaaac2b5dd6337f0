"""An answer that is under way, kept right behind its stream.

Tokens are streamed first and kept in small batches. At most `LOSS_TOKENS` tokens, or what was
streamed in the last `LOSS_SECONDS`, are not in the ledger yet: a crash loses no more, and what it
loses is not billed. A stream that would leave more unkept waits for the ledger.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from ...protocol.transcript import Entry, Kind, Sampler
from ...prover.ledger.values import StreamedTokens

log = logging.getLogger(__name__)

LOSS_TOKENS = 32
LOSS_SECONDS = 0.25
_BATCH_TOKENS = 16
_BATCH_SECONDS = 0.12


class OpenAnswer:
    """Belongs to one event loop.

    Args:
        number: The number that the answer's entry will have.
        keep: Puts a batch into the ledger; returns when it is on the disk.
        clock_ms: Unix time in milliseconds.
    """

    def __init__(
        self,
        sampler: Sampler,
        number: int,
        keep: Callable[[StreamedTokens], Awaitable[None]],
        clock_ms: Callable[[], int],
    ) -> None:
        self.sampler = sampler
        self.tokens: list[int] = []
        """All that were streamed."""
        self._number = number
        self._keep = keep
        self._clock_ms = clock_ms
        self._texts: list[str] = []
        self._kept_tokens = 0
        self._kept_texts = 0
        self._unkept_since = 0.0
        self._keeping: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def unkept(self) -> int:
        """Tokens that were streamed and are not in the ledger."""
        return len(self.tokens) - self._kept_tokens

    def entry(self) -> Entry:
        """What was streamed, as an entry."""
        return Entry(Kind.COMPLETION, tuple(self.tokens), "".join(self._texts), self.sampler)

    def streamed(self, tokens: list[int], text: str) -> None:
        """Notes what the client was just sent."""
        if not self.unkept:
            self._unkept_since = time.monotonic()
            self._set_timer()
        self.tokens += tokens
        self._texts.append(text)

    async def keep_up(self, coming: int) -> None:
        """Returns when so many more tokens may be streamed at once.

        Raises:
            LedgerError: when what was streamed cannot be kept.
        """
        if self._keeping is not None and self._keeping.done():
            await self._keeping  # raises what it could not do
        if self.unkept >= _BATCH_TOKENS:
            self._keep_soon()
        while self.unkept and self._must_wait(coming):
            self._keep_soon()
            if self._keeping is not None:
                await self._keeping

    async def settle(self) -> None:
        """Waits until nothing is being kept, whatever comes of it: what follows keeps it all."""
        while (keeping := self._keeping) is not None:
            self._stop_timer()
            await asyncio.wait({keeping})
            if keeping is self._keeping:
                self._keeping = None
            if not keeping.cancelled() and keeping.exception() is not None:
                log.warning("tokens were not kept at first: %s", keeping.exception())
        self._stop_timer()

    def _must_wait(self, coming: int) -> bool:
        late = time.monotonic() - self._unkept_since >= LOSS_SECONDS
        return late or self.unkept + coming > LOSS_TOKENS

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self._stop_timer()  # one that is forgotten would keep tokens after the answer's end
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_BATCH_SECONDS, self._keep_soon)

    def _keep_soon(self) -> None:
        """Starts keeping what was streamed, unless that is under way."""
        if self.unkept and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.get_running_loop().create_task(self._keep_batch())

    async def _keep_batch(self) -> None:
        tokens, texts, began = len(self.tokens), len(self._texts), time.monotonic()
        await self._keep(
            StreamedTokens(
                number=self._number,
                first=self._kept_tokens,
                tokens=tuple(self.tokens[self._kept_tokens :]),
                text="".join(self._texts[self._kept_texts :]),
                sampler=self.sampler,
                at_ms=self._clock_ms(),
            )
        )
        self._kept_tokens, self._kept_texts, self._unkept_since = tokens, texts, began
        if self.unkept:
            self._set_timer()
