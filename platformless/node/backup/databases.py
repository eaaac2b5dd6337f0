"""Databases as they are at one moment, copied while others write them. Everything blocks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from ...prover.ledger.migrations import upgrading
from .errors import BackupDamaged, SnapshotFailed

_BUSY_SECONDS = 30.0
_TOOL_SECONDS = 3600.0


def copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's online backup: what was committed before it began, and nothing of later.

    Raises:
        SnapshotFailed
        BackupDamaged: when the copy does not pass SQLite's check.
    """
    try:
        with (
            closing(_existing(source)) as written,
            closing(sqlite3.connect(target)) as copy,
        ):
            written.backup(copy)
    except sqlite3.Error as error:
        raise SnapshotFailed(f"{source} cannot be copied", got=str(error)) from error
    check_sqlite(target)


def check_sqlite(path: Path) -> None:
    """Raises:
    BackupDamaged: when SQLite's integrity check finds something.
    """
    try:
        with closing(_existing(path)) as database:
            found = [row[0] for row in database.execute("PRAGMA integrity_check(10)")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise BackupDamaged(f"{path.name} is damaged", expected="ok", got="; ".join(found))


def ledger_version(url: str) -> str:
    """The version of a ledger's tables, which stay as they are.

    Raises:
        SnapshotFailed
    """
    engine = sa.create_engine(url)
    query: sa.Select[str] = sa.select(sa.column("version_num")).select_from(
        sa.table(upgrading.VERSION_TABLE)
    )
    try:
        with engine.connect() as connection:
            return str(connection.execute(query).scalar_one())
    except sa.exc.SQLAlchemyError as error:
        raise SnapshotFailed("the ledger's tables cannot be read", got=error) from error
    finally:
        engine.dispose()


def dump_postgresql(url: str, target: Path) -> None:
    """A dump of a PostgreSQL ledger, of one moment, in pg_dump's own format.

    Raises:
        SnapshotFailed: also when pg_dump is not installed.
    """
    _run("pg_dump", ["--format=custom", "--no-owner", f"--file={target}"], url)


def restore_postgresql(url: str, dump: Path) -> None:
    """All of a dump, or nothing, into a database that is empty.

    Raises:
        SnapshotFailed: also when the database holds tables.
    """
    engine = sa.create_engine(url)
    try:
        tables = sa.inspect(engine).get_table_names()
    except sa.exc.SQLAlchemyError as error:
        raise SnapshotFailed("the database cannot be opened", got=error) from error
    finally:
        engine.dispose()
    if tables:
        raise SnapshotFailed(
            "the database of the ledger is not empty",
            expected="no tables",
            got=", ".join(sorted(tables)[:5]),
        )
    words = ["--no-owner", "--single-transaction", "--exit-on-error", str(dump)]
    _run("pg_restore", words, url)


def _existing(path: Path) -> sqlite3.Connection:
    """Not made when it is not there. It is opened for writing: a reader that finds the log of a
    killed process must be able to take it in."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS)


def _run(tool: str, words: Sequence[str], url: str) -> None:
    """Runs one of PostgreSQL's tools; the password is in its environment alone."""
    program = shutil.which(tool)
    if program is None:
        raise SnapshotFailed(
            f"{tool} is not installed",
            expected="the client tools of the server's version",
            got="none; or back the server up with its own means, and the rest with SQLite's ledger",
        )
    parts = sa.engine.make_url(url)
    place = parts.set(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, "PGPASSWORD": parts.password or ""}
    command = [program, *words[:-1], f"--dbname={place}", words[-1]]
    done = subprocess.run(  # noqa: S603
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TOOL_SECONDS,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing said"]
        raise SnapshotFailed(f"{tool} failed", got=last[0])
