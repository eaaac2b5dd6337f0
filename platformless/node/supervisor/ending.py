"""The end of a process, as an event."""

from __future__ import annotations

import asyncio
import os
import signal
from types import TracebackType
from typing import Self


class Ending:
    """Set once a child process has ended. It is not waited for: its number stays taken, so that
    what is left of its group can still be killed by it."""

    def __init__(self, process_id: int) -> None:
        self._event = asyncio.Event()
        self._descriptor: int | None = None
        try:
            self._descriptor = os.pidfd_open(process_id)
        except ProcessLookupError:  # it has ended, and somebody has waited for it
            self._event.set()

    def __enter__(self) -> Self:
        if self._descriptor is not None:
            asyncio.get_running_loop().add_reader(self._descriptor, self._end)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)

    @property
    def has_come(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def _end(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)  # it stays readable
        self._event.set()


def said(exit_status: int | None) -> str:
    """An exit status in words; a negative one is a signal's number, as `subprocess` has it."""
    if exit_status is None:
        return "still running"
    if exit_status >= 0:
        return f"exit status {exit_status}"
    try:
        return f"signal {signal.Signals(-exit_status).name}"
    except ValueError:
        return f"signal {-exit_status}"
