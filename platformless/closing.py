"""What is closed at its end: asynchronous context managers, tasks in the background."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self


class AsyncClosing(ABC):
    """`async with` gives the object itself and closes it afterwards."""

    @abstractmethod
    async def close(self) -> None:
        """Gives back what it holds."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


async def ended(task: asyncio.Task[Any] | None) -> None:
    """Ends a task and waits until it has."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
