"""The database of a ledger: how it is opened, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from ... import sqlite
from .errors import LedgerConflict, LedgerUnavailable
from .migrations import upgrading

_UNDONE = ("40001", "40P01")
"""PostgreSQL's codes of transactions that it undid for another's sake: serialization failure and
deadlock."""
_PATIENCE = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
"""libpq's seconds for a connection, and its milliseconds for a server that does not answer."""


@dataclass(frozen=True, slots=True)
class Database:
    """Methods block."""

    place: str
    """Its URL, without the password."""
    writers: sa.Engine
    readers: sa.Engine
    """For transactions that only read; such a transaction sees one moment."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Opens it; makes folder and tables when there are none, and older tables anew.

        Raises:
            LedgerTooNew: when a newer version of this program changed its tables.
            LedgerUnavailable: when it cannot be opened.
        """
        try:
            database = cls._at(sa.engine.make_url(url))
        except (sa.exc.ArgumentError, ImportError, OSError) as error:
            raise LedgerUnavailable(
                "the ledger cannot be opened", expected="a database's URL", got=error
            ) from error
        try:
            database._bring_up_to_date()
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _at(cls, url: sa.URL) -> Self:
        place = url.render_as_string(hide_password=True)
        if url.get_backend_name() != "sqlite":
            return cls._on_server(place, url)
        if url.database in (None, "", ":memory:"):
            raise LedgerUnavailable(
                "a ledger is not kept in memory", expected="the path of a file", got=place
            )
        Path(url.database or "").parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = sqlite.open_engine(url)
        return cls(place, engine, sqlite.readers(engine))

    @classmethod
    def _on_server(cls, place: str, url: sa.URL) -> Self:
        """Writers see what others committed, and a duplicate key or a deadlock tells them when
        they were too late. Such a URL may say how long to wait, as libpq names it."""
        patience = _PATIENCE if url.get_driver_name() in ("psycopg", "psycopg2") else {}
        waiting = {name: value for name, value in patience.items() if name not in url.query}
        engine = sa.create_engine(
            url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args=waiting
        )
        readers = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        return cls(place, engine, readers)

    def _bring_up_to_date(self) -> None:
        with self.read() as connection:
            current = upgrading.is_current(connection)
        if not current:
            with self.write() as connection:
                upgrading.upgrade(connection)

    def close(self) -> None:
        self.writers.dispose()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: on the disk when the block is left, undone when it raises.

        Raises:
            LedgerConflict: when another process wrote the same row meanwhile.
            LedgerUnavailable: when the database cannot be used.
        """
        with self._told(), self.writers.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads.

        Raises:
            LedgerUnavailable: when the database cannot be used.
        """
        with self._told(), self.readers.connect() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.IntegrityError as error:
            raise LedgerConflict(
                "another process wrote the same row", expected="one writer", got=error.orig
            ) from error
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            if _sqlstate(error) in _UNDONE:
                raise LedgerConflict(
                    "another process wrote meanwhile", expected="one writer", got=_original(error)
                ) from error
            raise LedgerUnavailable(
                f"the ledger {self.place} cannot be used", got=_original(error)
            ) from error


def _original(error: sa.exc.SQLAlchemyError) -> object:
    return getattr(error, "orig", None) or error


def _sqlstate(error: sa.exc.SQLAlchemyError) -> object:
    """PostgreSQL's code of what went wrong; None when there is none."""
    return getattr(_original(error), "sqlstate", None) or getattr(_original(error), "pgcode", None)
