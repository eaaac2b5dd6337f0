"""What does not follow what is there is refused, and changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from platformless.prover.ledger.errors import LedgerConflict, NotInLedger
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.values import Changes
from tests.samples import FIRST

from .samples import ID, KEPT, START, STARTED, STREAMED, adding, append_all, cut, entry, kept


@pytest.mark.parametrize(
    "changes",
    [
        STARTED,
        adding(1),
        adding(3),
        adding(2, 4),
        Changes(entries=(entry(2),), checkpoint=cut(FIRST)),
        Changes(entries=(entry(2),), checkpoint=replace(cut(FIRST), number=2)),
        Changes(entries=(entry(2),), streamed=STREAMED),
    ],
    ids=["started", "there", "hole", "hole within", "checkpoint", "later checkpoint", "streamed"],
)
async def test_what_is_not_next_is_a_conflict_and_changes_nothing(
    ledger: Ledger, changes: Changes
) -> None:
    first = Changes(start=START, entries=KEPT[:2], checkpoint=cut(FIRST), streamed=STREAMED)
    await ledger.append(ID, first)
    before = await kept(ledger)
    with pytest.raises(LedgerConflict):
        await ledger.append(ID, changes)
    assert await kept(ledger) == before


async def test_two_processes_that_write_one_session_are_told(
    where: LedgerSettings, ledger: Ledger
) -> None:
    await append_all(ledger, STARTED, adding(0))
    async with await Ledger.open(where) as other:
        tries = (ledger.append(ID, adding(1)), other.append(ID, adding(1)))
        results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(map(type, results), key=str) == [type(None), LedgerConflict]


async def test_a_session_is_started_before_it_is_written(ledger: Ledger) -> None:
    for changes in (adding(0), Changes(ended=True), Changes()):
        with pytest.raises(NotInLedger):
            await ledger.append(ID, changes)
    with pytest.raises(NotInLedger):
        await ledger.window(ID, 0)


async def test_chains_in_one_database_do_not_meet(where: LedgerSettings, ledger: Ledger) -> None:
    await append_all(ledger, STARTED, adding(0))
    elsewhere = replace(where, key=b"\x02" * 32, chain="84532/0xbb/0x11")
    async with await Ledger.open(elsewhere) as other:
        assert (await other.session(ID), await other.open_sessions()) == (None, [])
        await append_all(other, STARTED, adding(0))
        assert await kept(other) == await kept(ledger)
