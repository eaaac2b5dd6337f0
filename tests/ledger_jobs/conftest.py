from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.settings import LedgerSettings
from tests.services.fixtures import postgresql as postgresql
from tests.services.postgresql import PostgreSQL

from .builder import KEY, Store


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with its tables: a copy is made sooner than the tables."""
    path = tmp_path_factory.mktemp("empty") / "ledger.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """One database for all tests: each has a chain of its own in it."""
    with postgresql.database() as url:
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of SQLite, if a test does not ask for both: see `on_both_databases`."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        return url
    shutil.copyfile(request.getfixturevalue("empty_file"), tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def where(database_url: str) -> LedgerSettings:
    """A ledger that is empty: a chain of its own."""
    return LedgerSettings(database_url, KEY, f"31337/{secrets.token_hex(4)}")


@pytest.fixture
async def store(where: LedgerSettings) -> AsyncIterator[Store]:
    store = await Store.open(where)
    yield store
    await store.close()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()
