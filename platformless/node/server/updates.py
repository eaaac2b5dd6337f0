"""Transcript updates in replies: large ones are made in a thread, so that no stream waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ..sessions.answering import AnswerEnd

_LARGE_BYTES = 64 << 10
_Made = TypeVar("_Made")


async def made(end: AnswerEnd, make: Callable[[], _Made]) -> _Made:
    """What `make` makes of the update at an answer's end."""
    if end.update_bytes < _LARGE_BYTES:
        return make()
    return await asyncio.to_thread(make)
