"""Group commit: one thread that makes changes, many of them in one transaction.

A commit that is on the disk costs milliseconds, whatever it carries. So the thread takes all
changes that were queued during the last commit, makes them in one transaction, and only then
tells their callers. When a change raises, the transaction is undone and each change is made in
one of its own: only the guilty one fails. One that loses a race with another process is made once
more, and finds that one's row.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa

from .database import Database
from .errors import LedgerConflict, LedgerUnavailable

_Result = TypeVar("_Result")
Change = Callable[[sa.Connection], _Result]
"""Makes a change within a transaction. It may be called again, in another transaction, after the
first was undone."""


@dataclass(frozen=True, slots=True)
class _Queued:
    change: Change[Any]
    future: Future[Any] = field(default_factory=Future)


class GroupWriter:
    """Makes changes in the order in which they were asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    async def write(self, change: Change[_Result]) -> _Result:
        """Makes a change; it is on the disk when this returns. It is made also when the caller is
        cancelled meanwhile.

        Raises:
            LedgerUnavailable: when the database cannot be used, or the writer was closed.
            LedgerConflict: when another process wrote the same row.
            Exception: what `change` raises; then it changed nothing.
        """
        queued = _Queued(change)
        with self._closing:
            if self._closed:
                raise LedgerUnavailable("the ledger is closed")
            self._queue.put(queued)
        result: _Result = await asyncio.shield(asyncio.wrap_future(queued.future))
        return result

    def close(self) -> None:
        """Makes what is queued, then ends the thread. Blocks."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        going_on = True
        while going_on:
            taken = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    taken.append(self._queue.get_nowait())
            going_on = None not in taken
            if group := [queued for queued in taken if queued is not None]:
                self._make(group)

    def _make(self, group: list[_Queued]) -> None:
        """All or, when that fails, each alone. A database that cannot be used fails all at once:
        each would wait for it in vain, and whether the commit was made is not known."""
        try:
            self._make_together(group)
        except LedgerUnavailable as error:
            _fail(group, error)
        except BaseException:
            self._make_each(group)

    def _make_together(self, group: list[_Queued]) -> None:
        with self._database.write() as connection:
            results = [queued.change(connection) for queued in group]
        for queued, result in zip(group, results, strict=True):
            queued.future.set_result(result)

    def _make_each(self, group: list[_Queued]) -> None:
        for place, queued in enumerate(group):
            try:
                self._make_alone(queued)
            except LedgerUnavailable as error:
                _fail(group[place:], error)
                return
            except BaseException as error:
                _fail([queued], error)

    def _make_alone(self, queued: _Queued) -> None:
        """It may be that only now it loses a race, or a server undoes it for another's sake."""
        try:
            self._make_together([queued])
        except LedgerConflict:
            self._make_together([queued])


def _fail(group: list[_Queued], error: BaseException) -> None:
    for queued in group:
        queued.future.set_exception(error)
