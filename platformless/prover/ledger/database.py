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
from .tables import metadata


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
        """Opens it; makes folder and tables when there are none.

        Raises:
            LedgerUnavailable: when it cannot be opened.
        """
        try:
            database = cls._at(sa.engine.make_url(url))
        except (sa.exc.ArgumentError, ImportError, OSError) as error:
            raise LedgerUnavailable(
                "the ledger cannot be opened", expected="a database's URL", got=error
            ) from error
        try:
            database._make_tables()
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _at(cls, url: sa.URL) -> Self:
        place = url.render_as_string(hide_password=True)
        if url.get_backend_name() != "sqlite":
            engine = sa.create_engine(url, pool_pre_ping=True)
            return cls(place, engine, engine.execution_options(isolation_level="REPEATABLE READ"))
        if url.database in (None, "", ":memory:"):
            raise LedgerUnavailable(
                "a ledger is not kept in memory", expected="the path of a file", got=place
            )
        Path(url.database or "").parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = sqlite.open_engine(url)
        return cls(place, engine, sqlite.readers(engine))

    def _make_tables(self) -> None:
        """PostgreSQL lets two processes begin with the same table; the second one of them fails,
        and finds all tables when it tries again."""
        try:
            with self.writers.begin() as connection:
                metadata.create_all(connection)
        except sa.exc.DBAPIError:
            with self.write() as connection:
                metadata.create_all(connection)

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
            got = getattr(error, "orig", None) or error
            raise LedgerUnavailable(f"the ledger {self.place} cannot be used", got=got) from error
