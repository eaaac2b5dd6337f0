"""Brings the tables of a ledger to the version that this code works with."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from ..errors import LedgerTooNew

VERSION_TABLE = "ledger_version"
"""One row: the version of the tables."""
_VERSION: sa.Select[str] = sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
_FIRST = "0001"
"""What tables without a version are: they were made before there were versions."""
_FIRST_TABLE = "sessions"
_FOLDER = Path(__file__).parent
_LOCK = int.from_bytes(b"plledger")
"""PostgreSQL's number for the lock that upgrades take."""


def is_current(connection: sa.Connection) -> bool:
    """Whether there is nothing to do. Costs two queries, and no import of alembic.

    Raises:
        LedgerTooNew: when the tables are of a version that this code does not know.
    """
    version = _version(connection)
    known = known_versions()
    if version is not None and version not in known:
        raise LedgerTooNew(
            "a newer version of this program changed the ledger",
            expected=f"tables of version {known[-1]} or older",
            got=f"version {version}",
        )
    return version == known[-1]


def upgrade(connection: sa.Connection) -> None:
    """Makes what is missing, in the connection's transaction: all or nothing. Processes that
    upgrade at once come one after another; the later ones find nothing to do.

    Raises:
        LedgerTooNew: when the tables are of a version that this code does not know.
    """
    if connection.dialect.name == "postgresql":
        # Not needed for SQLite: its transactions that write come one after another.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    if is_current(connection):
        return
    from alembic import command  # takes as long to import as a ledger to open
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    if _version(connection) is None and sa.inspect(connection).has_table(_FIRST_TABLE):
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(_VERSION).scalar()
    return version


def known_versions() -> list[str]:
    """From the scripts' names, the latest last."""
    scripts = (_FOLDER / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")
    return sorted(script.name.partition("_")[0] for script in scripts)
