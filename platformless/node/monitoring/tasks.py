"""Tasks in the background."""

from __future__ import annotations

import asyncio
from typing import Any


async def ended(task: asyncio.Task[Any] | None) -> None:
    """Ends a task and waits until it has."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
