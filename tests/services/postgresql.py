"""A PostgreSQL cluster of the tests' own, which answers on a Unix socket only."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from platformless.children import Child

from .own import ServerFailed, as_user, find_program, own_folder, wait_until

USER = "postgres"
"""Debian's user, who runs the cluster when we are root: PostgreSQL refuses to. Also the name of
the role that may do everything."""
_START_SECONDS = 30
_STOP_SECONDS = 10
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "deadlock_timeout": "100ms",
}
"""Commits are on the disk when they return, as they are by default."""


class PostgreSQL:
    """A running cluster; see `running_postgresql`."""

    def __init__(self, folder: Path) -> None:
        """Makes a cluster in an empty folder, and starts it.

        Raises:
            ServerMissing, ServerFailed.
        """
        self._folder = folder
        self._data = folder / "data"
        self._empty: list[str] = []
        self._programs = find_program("PostgreSQL", "usr/lib/postgresql/*/bin/postgres").parent
        self._make()
        self.start()

    @property
    def process_id(self) -> int:
        return self._child.process_id

    @property
    def version(self) -> str:
        with self._administer() as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return str(row[0]) if row else ""

    def url(self, database: str) -> str:
        """SQLAlchemy's."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self._folder}"

    def start(self) -> None:
        """Starts it again, after `crash`."""
        command = [*as_user(USER, "QUIT"), str(self._programs / "postgres"), "-D", str(self._data)]
        for name, value in {**_SETTINGS, "unix_socket_directories": str(self._folder)}.items():
            command += ["-c", f"{name}={value}"]
        self._child = Child(command)
        wait_until(self._answers, self._child, "PostgreSQL", _START_SECONDS)

    def crash(self) -> None:
        """Ends it at once, as a power cut would; what was committed is there after `start`."""
        os.kill(self._child.process_id, signal.SIGQUIT)  # SIGKILL would leave shared memory behind
        deadline = time.monotonic() + _STOP_SECONDS
        while self._child.exit_status is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self._child.kill()

    stop = crash

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, which nobody else has within the block. It is emptied and
        lent again, since making one takes up to half a second on a busy machine."""
        name = self._empty.pop() if self._empty else self._new_database()
        try:
            yield self.url(name)
        finally:
            with contextlib.suppress(psycopg.OperationalError):
                self.end_connections(name)
                with self._administer(name) as connection:
                    connection.execute("DROP SCHEMA public CASCADE")
                    connection.execute("CREATE SCHEMA public")
                self._empty.append(name)

    def _new_database(self) -> str:
        name = f"test_{secrets.token_hex(6)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        with self._administer() as connection:
            connection.execute(create)
        return name

    def end_connections(self, database: str | None = None) -> None:
        """Ends everybody's connections, as a restart of the server would; or those to one
        database."""
        with self._administer() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                " AND datname = COALESCE(%s::text, datname)",
                [database],
            )

    def _make(self) -> None:
        command = [
            *as_user(USER, "KILL"),
            str(self._programs / "initdb"),
            "--pgdata",
            str(self._data),
        ]
        command += ["--username", USER, "--auth", "trust", "--encoding", "UTF8"]
        command += ["--no-locale", "--no-sync", "--no-instructions"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        if made.returncode != 0:
            raise ServerFailed(f"initdb failed: {made.stderr.strip()}")

    def _administer(self, database: str = USER) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(user=USER, dbname=database, host=str(self._folder), autocommit=True)

    def _answers(self) -> bool:
        try:
            self._administer().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """A new cluster, gone with the block.

    Raises:
        ServerMissing, ServerFailed.
    """
    find_program("PostgreSQL", "usr/lib/postgresql/*/bin/postgres")
    with own_folder("postgresql", USER) as folder:
        server = PostgreSQL(folder)
        try:
            yield server
        finally:
            server.stop()
