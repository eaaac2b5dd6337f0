"""SQLite as this project uses it: WAL, and a commit that is on the disk when it returns."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import sqlalchemy as sa

BUSY_SECONDS = 30
"""How long one waits for other writers. A URL may say otherwise: `?timeout=SECONDS`."""
_BETWEEN_TRIES_SECONDS = 0.02


def open_engine(url: sa.URL) -> sa.Engine:
    """The engine of a database file. Its transactions take the write lock at once."""
    waiting = {} if "timeout" in url.query else {"timeout": BUSY_SECONDS}
    engine = sa.create_engine(url, connect_args=waiting)
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def readers(engine: sa.Engine) -> sa.Engine:
    """The same engine, for transactions that only read: they wait for no writer."""
    return engine.execution_options(begin="BEGIN")


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # `_begin` starts the transactions
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """SQLite does not wait for other processes here, whatever its timeout."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_BETWEEN_TRIES_SECONDS)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    """Writers take the lock at once: two that first read could not both go on."""
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("begin", "BEGIN IMMEDIATE"))
