"""Ledgers over both databases: what is promised of one holds for the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from tests.services.fixtures import postgresql as postgresql
from tests.services.fixtures import postgresql_url as postgresql_url

from .samples import CHAIN, KEY


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/new/ledger.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Where no ledger is yet."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def where(url: str) -> LedgerSettings:
    return LedgerSettings(url, KEY, CHAIN)


@pytest.fixture
async def ledger(where: LedgerSettings) -> AsyncIterator[Ledger]:
    async with await Ledger.open(where) as ledger:
        yield ledger


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()
