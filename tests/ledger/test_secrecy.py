"""What is private is sealed, for its place, with the ledger's key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LedgerDamaged, LedgerSealBroken
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.tables import metadata
from platformless.prover.ledger.values import Changes
from tests.samples import COMPLETION, FIRST, HEADER, PROMPT

from .samples import CHAIN, EVERYTHING, ID, KEPT, KEY, START, STARTED, STREAMED, append_all, cut

SECRETS = [HEADER.salt.value, HEADER.seed.value, START.host_part.value, KEY]
WORDS = [PROMPT.text, COMPLETION.text, STREAMED.text, "assistant"]


def change_rows(where: LedgerSettings, *statements: str) -> None:
    database = Database.open(where.url)
    with database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    database.close()


def require_no_secret(stored: bytes) -> None:
    assert CHAIN.encode() in stored
    for secret in (*SECRETS, *(secret.hex().encode() for secret in SECRETS)):
        assert secret not in stored
    for word in WORDS:
        assert word.encode() not in stored


async def test_another_key_opens_nothing(where: LedgerSettings) -> None:
    async with await Ledger.open(where) as ledger:
        await ledger.append(ID, STARTED)
    with pytest.raises(LedgerSealBroken):
        await Ledger.open(replace(where, key=b"\x02" * 32))


@pytest.mark.parametrize("table", ["sessions", "entries", "streamed", "checkpoints"])
async def test_an_altered_row_is_not_opened(where: LedgerSettings, table: str) -> None:
    async with await Ledger.open(where) as ledger:
        first = Changes(start=START, entries=KEPT[:2], checkpoint=cut(FIRST), streamed=STREAMED)
        await ledger.append(ID, first)
        await ledger.append(ID + 1, STARTED)  # so that the key is seen to be right
        altered = metadata.tables[table].update().where(sa.column("session_id") == str(ID))
        database = Database.open(where.url)
        with database.write() as connection:
            connection.execute(altered.values(sealed=sa.literal(b"x" * 100)))
        database.close()
        with pytest.raises(LedgerSealBroken) as error:
            await ledger.session(ID)
    assert table in str(error.value)


@pytest.mark.parametrize(
    "swap",
    [
        ["UPDATE entries SET number = 1 - number + 10", "UPDATE entries SET number = number - 10"],
        [
            "UPDATE sessions SET session_id = '9' WHERE session_id = '7'",
            "UPDATE sessions SET session_id = '7' WHERE session_id = '8'",
        ],
        ["UPDATE streamed SET first = 2"],
        [
            "UPDATE entries SET session_id = '9' WHERE session_id = '7'",
            "UPDATE entries SET session_id = '7' WHERE session_id = '8'",
        ],
        ["DELETE FROM entries WHERE number = 0"],
    ],
    ids=["numbers", "sessions", "places", "entries", "missing"],
)
async def test_rows_cannot_take_each_others_places(where: LedgerSettings, swap: list[str]) -> None:
    async with await Ledger.open(where) as ledger:
        for session_id in (7, 8):
            changes = replace(STARTED, entries=KEPT[:2], streamed=STREAMED)
            await ledger.append(session_id, changes)
        change_rows(where, *swap)
        with pytest.raises((LedgerSealBroken, LedgerDamaged)):
            await ledger.session(7)


async def test_nothing_private_is_in_the_rows(where: LedgerSettings, ledger: Ledger) -> None:
    await append_all(ledger, *EVERYTHING[:4])
    stored = rows(where)
    await append_all(ledger, *EVERYTHING[4:])
    require_no_secret(stored + rows(where))
    assert repr(KEY) not in repr(where)


def rows(where: LedgerSettings) -> bytes:
    """Everything that is in the tables."""
    database = Database.open(where.url)
    with database.read() as connection:
        cells = [
            cell if isinstance(cell, bytes) else str(cell).encode()
            for table in metadata.sorted_tables
            for row in connection.execute(sa.select(table))
            for cell in row
        ]
    database.close()
    return b"|".join(cells)


async def test_nothing_private_can_be_read_from_the_files(sqlite_url: str, tmp_path: Path) -> None:
    def files() -> bytes:
        return b"".join(path.read_bytes() for path in (tmp_path / "new").iterdir())

    async with await Ledger.open(LedgerSettings(sqlite_url, KEY, CHAIN)) as ledger:
        await append_all(ledger, *EVERYTHING[:4])
        while_open = files()
        await append_all(ledger, *EVERYTHING[4:])
    require_no_secret(while_open + files())
