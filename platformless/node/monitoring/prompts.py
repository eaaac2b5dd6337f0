"""Prompts as they are counted: how they ended, what they waited, what was sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...engine.errors import QueueFull, RequestError
from ..errors import ClientGone, DepositUsedUp, SessionError, ShuttingDown
from .counted import Counted

if TYPE_CHECKING:
    from ..sessions.answering import AnswerOutput

QUEUE_FULL = "queue_full"
_REFUSED = (SessionError, RequestError)
"""The client's doing: nothing was taken, and nothing is counted."""


def outcome_of(error: BaseException) -> str | None:
    """How a prompt ended that ended with an error; None when it was never taken."""
    if isinstance(error, DepositUsedUp):
        return "deposit_used_up"
    if isinstance(error, ShuttingDown):
        return "shutting_down"
    if isinstance(error, ClientGone | asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, _REFUSED):
        return None
    return "error"


class CountedOutput:
    """An answer's output that counts what goes through it."""

    def __init__(self, output: AnswerOutput, counted: Counted) -> None:
        self._output = output
        self._counted = counted
        self._prompt = counted.first_tokens.begin()

    async def position(self, place: int) -> None:
        await self._output.position(place)

    async def piece(self, text: str, tokens: int) -> None:
        await self._output.piece(text, tokens)
        self._counted.completion_tokens.inc(tokens)
        waited = self._counted.first_tokens.arrived(self._prompt)
        if waited is not None:
            self._counted.first_token_seconds.observe(waited)

    def end(self) -> None:
        """Nothing more comes."""
        self._counted.first_tokens.end(self._prompt)


@contextlib.contextmanager
def counted_prompt(counted: Counted, output: AnswerOutput) -> Iterator[CountedOutput]:
    """Counts a prompt that ends in the block with an error. Whoever answers it counts the others,
    by `Counted.prompts`."""
    through = CountedOutput(output, counted)
    try:
        yield through
    except BaseException as error:
        outcome = outcome_of(error)
        if isinstance(error, QueueFull):
            counted.refused.labels(QUEUE_FULL).inc()
        elif outcome is not None:
            counted.prompts.labels(outcome).inc()
        raise
    finally:
        through.end()
