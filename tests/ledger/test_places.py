"""Databases that cannot be used, or not soon enough."""

from __future__ import annotations

import pytest

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LedgerUnavailable
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings

from .samples import CHAIN, ID, KEY, STARTED

IMPATIENT = {"sqlite": "?timeout=0.05", "postgresql": "&options=-c%20lock_timeout%3D50"}
LOCKED = {"sqlite": "SELECT 1", "postgresql": "LOCK TABLE sessions IN EXCLUSIVE MODE"}
"""In a transaction that writes: SQLite's have locked everything when they begin."""


async def test_a_database_that_is_locked_too_long_is_told(url: str, database: Database) -> None:
    name = database.writers.dialect.name
    impatient = LedgerSettings(url + IMPATIENT[name], KEY, CHAIN)
    async with await Ledger.open(impatient) as ledger:
        with database.write() as connection:
            connection.exec_driver_sql(LOCKED[name])
            with pytest.raises(LedgerUnavailable):
                await ledger.append(ID, STARTED)
            assert await ledger.session(ID) is None  # readers do not wait
        await ledger.append(ID, STARTED)


@pytest.mark.parametrize(
    "url",
    [
        "no url",
        "sqlite://",
        "nothing://here/x",
        "sqlite:////dev/null/x",
        "postgresql://127.0.0.1:1/x",
        "postgresql:///x?host=/dev/null",
    ],
)
async def test_a_place_that_holds_no_ledger_is_told(url: str) -> None:
    with pytest.raises(LedgerUnavailable):
        await Ledger.open(LedgerSettings(url, KEY, CHAIN))


async def test_a_password_is_not_repeated() -> None:
    secret = LedgerSettings("postgresql://me:s3cret@127.0.0.1:1/x", KEY, CHAIN)
    with pytest.raises(LedgerUnavailable) as error:
        await Ledger.open(secret)
    assert "s3cret" not in str(error.value) + repr(secret)
