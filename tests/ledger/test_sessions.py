"""What was appended to a session is there, in order, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platformless.protocol.digests import StateDigest
from platformless.protocol.header import SessionHeader
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.transcript import Entry, Tokens
from platformless.prover.ledger.errors import LedgerDamaged
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.values import Binding, Changes, KeptCheckpoint, KeptSession
from tests import strategies
from tests.samples import FIRST, SECOND

from .samples import (
    EVERYTHING,
    ID,
    KEPT,
    START,
    STARTED,
    STREAMED,
    adding,
    append_all,
    cut,
    entry,
    kept,
    signed,
)

EXAMPLES = count()


async def test_a_session_is_read_back_as_it_was_written(where: LedgerSettings) -> None:
    async with await Ledger.open(where) as ledger:
        await append_all(ledger, *EVERYTHING)
    async with await Ledger.open(where) as ledger:
        assert await kept(ledger) == KeptSession(
            START, KEPT, (), (cut(FIRST), cut(SECOND)), (signed(FIRST), signed(SECOND)), True
        )
        assert await ledger.window(ID, 0) == replace(FIRST, delta_digest=cut(FIRST).delta.digest())
        assert (await ledger.window(ID, 1)).claim().state_after == SECOND.after.digest


async def test_streamed_tokens_stay_until_they_are_dropped(ledger: Ledger) -> None:
    second = replace(STREAMED, first=2)
    await append_all(ledger, STARTED, Changes(streamed=second), Changes(streamed=STREAMED))
    assert (await kept(ledger)).streamed == (STREAMED, second)
    other = replace(STREAMED, number=3)
    await ledger.append(ID, Changes(drop_streamed=True, streamed=other))
    assert (await kept(ledger)).streamed == (other,)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(written=st.lists(strategies.entries, max_size=8), header=strategies.headers)
def test_any_entries_are_read_back_as_they_were_written(
    where: LedgerSettings, written: list[Entry], header: SessionHeader
) -> None:
    start = replace(START, header=header)
    rows = tuple(entry(number, what) for number, what in enumerate(written))
    session_id = header.terms.session_id

    async def run() -> None:
        of_its_own = replace(where, chain=f"chain of example {next(EXAMPLES)}")
        async with await Ledger.open(of_its_own) as ledger:
            await ledger.append(session_id, Changes(start=start, entries=rows))
            assert await ledger.session(session_id) == KeptSession(start, rows)

    asyncio.run(run())


async def test_a_binding_is_replaced(ledger: Ledger) -> None:
    assert await ledger.binding(ID) is None
    for binding in (
        Binding("0x33", PublicKeyBytes.of(b"\x07" * 32)),
        Binding("anybody", None),
    ):
        await ledger.bind(ID, binding)
        assert await ledger.binding(ID) == binding
    assert await ledger.binding(ID + 1) is None


async def test_an_init_is_taken_once(where: LedgerSettings, ledger: Ledger) -> None:
    taken = await asyncio.gather(*(ledger.take_init(ID, b"mark") for _ in range(5)))
    assert sorted(taken) == [False] * 4 + [True]
    assert await ledger.take_init(ID, b"another")
    assert await ledger.take_init(ID + 1, b"mark")
    async with await Ledger.open(where) as again:
        assert not await again.take_init(ID, b"mark")


async def test_open_sessions_are_those_that_started_and_did_not_end(ledger: Ledger) -> None:
    huge = 2**256 - 1
    for session_id in (huge, 10, 9, 8):
        await ledger.append(session_id, STARTED)
    await ledger.append(9, Changes(ended=True))
    await ledger.bind(11, Binding("0x33", None))
    assert await ledger.open_sessions() == [8, 10, huge]
    assert (await ledger.session(9), await ledger.session(11)) == (
        KeptSession(START, ended=True),
        None,
    )


async def test_the_first_acknowledgement_of_a_state_is_kept(ledger: Ledger) -> None:
    first, second = signed(FIRST), signed(FIRST, b"\x08" * 32)
    await append_all(ledger, STARTED, *(Changes(acknowledgement=ack) for ack in (first, second)))
    assert await ledger.acknowledgement(ID, first.state) == first.signature
    assert await ledger.acknowledgement(ID, StateDigest.zero()) is None
    assert (await kept(ledger)).acknowledgements == (first,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens_after": Tokens(51)},
        {"state_after": StateDigest.zero()},
        {"end_entry": 3},
        {"state_before": StateDigest.zero()},
        {"first_entry": 1},
        {"first_entry": 2},
    ],
)
async def test_a_window_is_never_other_than_it_was_cut(
    ledger: Ledger, wrong: dict[str, object]
) -> None:
    checkpoint: KeptCheckpoint = replace(cut(FIRST), **wrong)  # type: ignore[arg-type]
    await ledger.append(ID, Changes(start=START, entries=KEPT[:2], checkpoint=checkpoint))
    with pytest.raises(LedgerDamaged):
        await ledger.window(ID, 0)


async def test_many_sessions_are_written_at_once(where: LedgerSettings) -> None:
    async def serve(ledger: Ledger, session_id: int) -> None:
        await ledger.append(session_id, STARTED)
        for number in range(10):
            await ledger.append(session_id, adding(number))

    async with await Ledger.open(where) as ledger:
        await asyncio.gather(*(serve(ledger, session_id) for session_id in range(20)))
    async with await Ledger.open(where) as ledger:
        for session_id in range(20):
            session = await ledger.session(session_id)
            assert session is not None
            assert session.entries == adding(*range(10)).entries
