"""The ledger, looked at without touching it: no folder, table, key or file is made."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from ...errors import PlatformlessError
from ...prover.ledger import reading
from ...prover.ledger.job_states import JobState
from ...prover.ledger.job_tables import jobs
from ...prover.ledger.migrations import upgrading
from ...prover.ledger.sealed import Sealer
from ...prover.ledger.settings import KEY_FILE, ledger_key
from ..settings import NodeSettings
from .finding import Finding, error, ok, warning
from .shared import ChainOutOfReach, Subject

_CONNECT_SECONDS = 5
_INTEGRITY_SECONDS = 20.0
_STEPS_BETWEEN_LOOKS = 100_000
_BACKUP = "restore a backup"


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What was read of a ledger."""

    is_current: bool
    damage: str
    """Of the file; empty when it is whole or was not looked through."""
    is_checked: bool
    """Whether the file was looked through."""
    failed_jobs: int


async def check_ledger(subject: Subject) -> list[Finding]:
    """Whether the ledger opens, with its key, and is whole; and what failed in it."""
    settings = subject.settings
    path = ledger_file(settings)
    if path is not None and not path.exists():
        return [ok("ledger", f"none yet: the node makes {path.absolute()} when it starts")]
    chain = await _chain_tag(subject)
    prefix, suffix = f"{subject.network.chain_id}:", f":{subject.network.marketplace}".lower()
    try:
        state = await asyncio.to_thread(look, settings, path, chain, (prefix, suffix))
    except PlatformlessError as problem:
        return [error("ledger", str(problem), problem.advice or _BACKUP)]
    except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError, ImportError) as problem:
        why = getattr(problem, "orig", None) or problem
        advice = "check LEDGER_URL, and that its server runs; a damaged file: restore a backup"
        return [error("ledger", f"it cannot be read: {why}", advice)]
    return [*_findings(state), _key_finding(settings)]


def ledger_file(settings: NodeSettings) -> Path | None:
    """The file of a ledger in SQLite; None when it is on a server, or its URL is none."""
    if not settings.ledger_url:
        return settings.data_folder / "ledger.db"
    try:
        url = sa.engine.make_url(settings.ledger_url)
    except sa.exc.ArgumentError:
        return None
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def look(
    settings: NodeSettings, path: Path | None, chain: str | None, of_chains: tuple[str, str]
) -> LedgerState:
    """Reads a ledger. Blocks.

    Args:
        chain: Whose sessions the key is tried on; None: it is not tried.
        of_chains: Beginning and end of the names of chains whose failed jobs count.

    Raises:
        LedgerError: when it is of a newer version, or sealed with another key.
        SQLAlchemyError, OSError: when it cannot be read.
    """
    with _opened(settings, path) as connection:
        current = upgrading.is_current(connection)
        damage, checked = _damage(connection) if path is not None else ("", False)
        failed = 0
        if current and not damage:
            failed = _failed_jobs(connection, *of_chains)
            if chain is not None and _has_key(settings):
                reading.require_key(connection, Sealer(_key(settings), chain))
        return LedgerState(current, damage, checked, failed)


@contextmanager
def _opened(settings: NodeSettings, path: Path | None) -> Iterator[sa.Connection]:
    if path is not None:
        engine = sa.create_engine("sqlite://", creator=lambda: _read_only(path))
    else:
        url = sa.engine.make_url(settings.ledger_url)
        waits = {"connect_timeout": _CONNECT_SECONDS} if "psycopg" in url.drivername else {}
        engine = sa.create_engine(url, connect_args=waits).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _read_only(path: Path) -> sqlite3.Connection:
    """Without a log beside it nobody has the file open, and `immutable` keeps SQLite from making
    one; with a log, what is in it counts."""
    log = path.with_name(path.name + "-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False, timeout=1
    )


def _damage(connection: sa.Connection) -> tuple[str, bool]:
    """What SQLite finds wrong with its file, and whether it came to an end in time."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - `_read_only` made it
    deadline = time.monotonic() + _INTEGRITY_SECONDS
    raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        (told,) = raw.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as problem:
        if "interrupted" in str(problem):
            return "", False
        raise
    finally:
        raw.set_progress_handler(None, 0)
    return ("" if told == "ok" else " ".join(str(told).split())), True


def _failed_jobs(connection: sa.Connection, prefix: str, suffix: str) -> int:
    query = sa.select(sa.func.count()).where(
        jobs.c.state == JobState.FAILED.value,
        jobs.c.chain.startswith(prefix, autoescape=True),
        jobs.c.chain.endswith(suffix, autoescape=True),
    )
    return int(connection.execute(query).scalar() or 0)


def _findings(state: LedgerState) -> list[Finding]:
    if state.damage:
        return [error("ledger", f"the file is damaged: {state.damage}", _BACKUP)]
    if not state.is_current:
        says = "its tables are of an older version, or not made yet"
        return [warning("ledger", says, "nothing: the node brings them up to date when it starts")]
    whole = "whole" if state.is_checked else "not looked through"
    findings = [ok("ledger", f"its tables are up to date, {whole}")]
    if state.failed_jobs:
        advice = "fabstir-llm-node jobs --state failed; then jobs retry --all-failed"
        findings.append(warning("ledger", f"{state.failed_jobs} jobs have failed", advice))
    return findings


def _key_finding(settings: NodeSettings) -> Finding:
    if settings.ledger_key.get_secret_value():
        return ok("ledger-key", "from LEDGER_KEY")
    file = settings.data_folder / KEY_FILE
    if not file.exists():
        says = f"there is a ledger, but neither LEDGER_KEY nor {file}: what it holds is unreadable"
        return error("ledger-key", says, "bring the key back that the ledger was sealed with")
    return ok("ledger-key", f"in {file}")


def _has_key(settings: NodeSettings) -> bool:
    given = settings.ledger_key.get_secret_value()
    return bool(given) or (settings.data_folder / KEY_FILE).exists()


def _key(settings: NodeSettings) -> bytes:
    """Of a folder that has one: nothing is made then."""
    return ledger_key(settings.data_folder, settings.ledger_key.get_secret_value() or None)


async def _chain_tag(subject: Subject) -> str | None:
    """How the ledger names the chain; None when that cannot be asked."""
    try:
        genesis = await subject.genesis()
    except (ChainOutOfReach, PlatformlessError):
        return None
    if genesis is None:
        return None
    network = subject.network
    return f"{network.chain_id}:{genesis.hash}:{network.marketplace}".lower()
