"""What a transaction sees, and what becomes of one that cannot be made."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LedgerConflict, LedgerUnavailable
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.tables import seen_inits
from tests.services.postgresql import PostgreSQL

from .samples import CHAIN, ID, KEY, STARTED, adding, append_all, kept, marking, marks

COUNT = sa.select(sa.func.count()).select_from(seen_inits)


@pytest.fixture
def on_server(postgresql_url: str) -> Iterator[Database]:
    database = Database.open(postgresql_url)
    yield database
    database.close()


def add(database: Database, mark: bytes) -> None:
    with database.write() as connection:
        marking(mark)(connection)


def test_a_reader_sees_one_moment_and_stops_no_writer(database: Database) -> None:
    with database.read() as connection:
        assert connection.execute(COUNT).scalar() == 0
        add(database, b"a")
        assert connection.execute(COUNT).scalar() == 0
    with database.read() as connection:
        assert connection.execute(COUNT).scalar() == 1


def test_what_raises_is_undone(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        with database.write() as connection:
            marking(b"a")(connection)
            raise ZeroDivisionError
    assert marks(database) == []


def test_a_row_that_is_there_is_a_conflict(database: Database) -> None:
    add(database, b"a")
    with pytest.raises(LedgerConflict):
        add(database, b"a")


def test_readers_of_a_server_cannot_write(on_server: Database) -> None:
    with pytest.raises(LedgerUnavailable, match="read-only"):
        with on_server.read() as connection:
            marking(b"a")(connection)


def test_two_that_wait_for_each_other_are_told(on_server: Database) -> None:
    """One of them is made, whole."""
    both_began = threading.Barrier(2)
    results: list[type[BaseException] | None] = []

    def write(first: bytes, second: bytes) -> None:
        try:
            with on_server.write() as connection:
                marking(first)(connection)
                both_began.wait(timeout=20)
                marking(second)(connection)
        except Exception as error:
            results.append(type(error))
        else:
            results.append(None)

    orders = ((b"a", b"b"), (b"b", b"a"))
    threads = [threading.Thread(target=write, args=order) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == [LedgerConflict, None]
    assert marks(on_server) == [b"a", b"b"]


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_what_the_server_undid_for_anothers_sake_is_a_conflict(
    on_server: Database, code: str
) -> None:
    with pytest.raises(LedgerConflict):
        with on_server.write() as connection:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")


def test_a_connection_lost_in_a_change_is_told(on_server: Database, postgresql: PostgreSQL) -> None:
    with pytest.raises(LedgerUnavailable):
        with on_server.write() as connection:
            marking(b"a")(connection)
            postgresql.end_connections()
            marking(b"b")(connection)
    with pytest.raises(LedgerUnavailable):
        with on_server.write() as connection:
            marking(b"a")(connection)
            postgresql.end_connections()
    with pytest.raises(LedgerUnavailable):
        with on_server.read() as connection:
            postgresql.end_connections()
            connection.execute(COUNT)
    assert marks(on_server) == []


async def test_a_server_that_comes_back_is_used_again(
    postgresql_url: str, postgresql: PostgreSQL
) -> None:
    async with await Ledger.open(LedgerSettings(postgresql_url, KEY, CHAIN)) as ledger:
        await append_all(ledger, STARTED, adding(0))
        postgresql.end_connections()
        await ledger.append(ID, adding(1))
        postgresql.crash()
        with pytest.raises(LedgerUnavailable):
            await ledger.append(ID, adding(2))
        with pytest.raises(LedgerUnavailable):
            await ledger.session(ID)
        postgresql.start()
        await ledger.append(ID, adding(2))
        assert (await kept(ledger)).entries == adding(0, 1, 2).entries
