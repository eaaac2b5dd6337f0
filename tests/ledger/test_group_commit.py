"""One thread makes changes, many of them in one transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LedgerConflict, LedgerUnavailable
from platformless.prover.ledger.writer import Change, GroupWriter

from .samples import marking, marks


class Held:
    """A writer whose thread is held in its first change until `release`."""

    def __init__(self, database: Database) -> None:
        self.commits = 0
        sa.event.listen(database.writers, "commit", self._count)
        self.writer = GroupWriter(database)
        self._free = threading.Event()
        self._first = asyncio.ensure_future(self.writer.write(lambda _: self._free.wait()))

    def _count(self, _connection: sa.Connection) -> None:
        self.commits += 1

    async def queue(self, *changes: Change[object]) -> list[asyncio.Task[object]]:
        tasks = [asyncio.create_task(self.writer.write(change)) for change in changes]
        await asyncio.sleep(0)  # the tasks run up to where they wait
        return tasks

    async def release(self) -> None:
        self._free.set()
        await self._first


@pytest.fixture
async def held(database: Database) -> AsyncIterator[Held]:
    held = Held(database)
    yield held
    await held.release()
    held.writer.close()


async def test_changes_that_wait_together_are_one_transaction(
    database: Database, held: Held
) -> None:
    numbers = [b"%03d" % number for number in range(100)]
    tasks = await held.queue(*map(marking, numbers))
    await held.release()
    await asyncio.gather(*tasks)
    assert held.commits <= 3
    assert marks(database) == numbers


async def test_a_bad_change_fails_alone(database: Database, held: Held) -> None:
    def fail(connection: sa.Connection) -> None:
        marking(b"of the bad one")(connection)
        raise ZeroDivisionError

    tasks = await held.queue(marking(b"a"), fail, marking(b"a"), marking(b"b"))
    await held.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [type(error) if isinstance(error, Exception) else None for error in results]
    assert errors == [None, ZeroDivisionError, LedgerConflict, None]
    assert marks(database) == [b"a", b"b"]


async def test_a_change_is_made_though_its_caller_is_cancelled(
    database: Database, held: Held
) -> None:
    cancelled, other = await held.queue(marking(b"a"), marking(b"b"))
    cancelled.cancel()
    await held.release()
    await other
    assert cancelled.cancelled()
    assert marks(database) == [b"a", b"b"]


async def test_closing_makes_what_is_queued_and_takes_no_more(
    database: Database, held: Held
) -> None:
    tasks = await held.queue(marking(b"a"), marking(b"b"))
    closing = asyncio.create_task(asyncio.to_thread(held.writer.close))
    await held.release()
    await closing
    assert marks(database) == [b"a", b"b"]
    await asyncio.gather(*tasks)
    with pytest.raises(LedgerUnavailable):
        await held.writer.write(marking(b"c"))
