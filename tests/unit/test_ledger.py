"""The ledger by itself: what was appended is there, sealed, in order, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from platformless.protocol import acknowledgement
from platformless.protocol.delta import Delta, Message, delta_salt
from platformless.protocol.digests import ProofHash, StateDigest
from platformless.protocol.header import SessionHeader
from platformless.protocol.secrecy import PublicKeyBytes
from platformless.protocol.seed import SeedPart
from platformless.protocol.transcript import Entry, Sampler, Tokens
from platformless.protocol.window import Window
from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import (
    LedgerConflict,
    LedgerDamaged,
    LedgerError,
    LedgerKeyRefused,
    LedgerSealBroken,
    LedgerUnavailable,
    NotInLedger,
)
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import KEY_FILE, LedgerSettings, ledger_key
from platformless.prover.ledger.tables import metadata
from platformless.prover.ledger.values import (
    Binding,
    Changes,
    KeptAcknowledgement,
    KeptCheckpoint,
    KeptEntry,
    KeptSession,
    SessionStart,
    StreamedTokens,
)
from platformless.prover.ledger.writer import Change, GroupWriter
from tests import strategies
from tests.samples import COMPLETION, FIRST, HEADER, PROMPT, SECOND

KEY = b"\x01" * 32
CHAIN = "31337/0xaa/0x11"
ID = HEADER.terms.session_id
START = SessionStart(HEADER, SeedPart(b"host's part of seed, 32 bytes...."[:32]), SeedPart.zero())
STARTED = Changes(start=START)
STREAMED = StreamedTokens(1, 0, (7, 8), "A tow", Sampler(0.7, 40, 0.95), 1_700_000_000_001)


def entry(number: int, what: Entry = PROMPT) -> KeptEntry:
    return KeptEntry(number, what, 1_700_000_000_000 + number, partial=number % 2 == 1)


def adding(*numbers: int) -> Changes:
    return Changes(entries=tuple(entry(number) for number in numbers))


def cut(window: Window) -> KeptCheckpoint:
    """The checkpoint of a window."""
    claim = window.claim()
    delta = Delta(
        ID,
        window.checkpoint,
        ProofHash.zero(),
        claim.tokens_before,
        claim.tokens_after,
        delta_salt(HEADER.salt, window.checkpoint),
        (Message("user", PROMPT.text, 1), Message("assistant", COMPLETION.text, 2, partial=True)),
    )
    return KeptCheckpoint(
        number=window.checkpoint,
        first_entry=window.before.entries,
        end_entry=window.after.entries,
        tokens_before=claim.tokens_before,
        tokens_after=claim.tokens_after,
        state_before=claim.state_before,
        state_after=claim.state_after,
        delta=delta,
        at_ms=3,
    )


def signed(window: Window, key: bytes = b"\x09" * 32) -> KeptAcknowledgement:
    signature = acknowledgement.sign(window.claim(), key)
    return KeptAcknowledgement(window.after.tokens, window.after.digest, signature)


WRITTEN = FIRST.entries + SECOND.entries
KEPT = tuple(entry(number, what) for number, what in enumerate(WRITTEN))
EVERYTHING = (
    STARTED,
    Changes(entries=KEPT[:1]),
    Changes(streamed=STREAMED),
    Changes(streamed=replace(STREAMED, first=2, text="er.")),
    Changes(entries=KEPT[1:2], drop_streamed=True, checkpoint=cut(FIRST)),
    Changes(acknowledgement=signed(FIRST)),
    Changes(entries=KEPT[2:], checkpoint=cut(SECOND), ended=True),
    Changes(acknowledgement=signed(SECOND)),
)


@pytest.fixture
def where(tmp_path: Path) -> LedgerSettings:
    return LedgerSettings(f"sqlite:///{tmp_path}/new/ledger.db", KEY, CHAIN)


@pytest.fixture
async def ledger(where: LedgerSettings) -> AsyncIterator[Ledger]:
    async with await Ledger.open(where) as ledger:
        yield ledger


async def append_all(ledger: Ledger, *changes: Changes) -> None:
    for change in changes:
        await ledger.append(ID, change)


async def kept(ledger: Ledger) -> KeptSession:
    session = await ledger.session(ID)
    assert session is not None
    return session


def change_rows(where: LedgerSettings, *statements: str) -> None:
    connection = sqlite3.connect(Path(where.url.removeprefix("sqlite:///")))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


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


@settings(max_examples=20, deadline=None)
@given(st.lists(strategies.entries, max_size=8), strategies.headers)
def test_any_entries_are_read_back_as_they_were_written(
    written: list[Entry], header: SessionHeader
) -> None:
    start = replace(START, header=header)
    rows = tuple(entry(number, what) for number, what in enumerate(written))

    async def run(folder: str) -> None:
        where = LedgerSettings(f"sqlite:///{folder}/ledger.db", KEY, CHAIN)
        async with await Ledger.open(where) as ledger:
            await ledger.append(header.terms.session_id, Changes(start=start, entries=rows))
            session = await ledger.session(header.terms.session_id)
            assert session == KeptSession(start, rows)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))


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


async def test_nothing_private_can_be_read_from_the_files(
    where: LedgerSettings, tmp_path: Path
) -> None:
    async with await Ledger.open(where) as ledger:
        await append_all(ledger, *EVERYTHING[:4])
        while_open = b"".join(path.read_bytes() for path in (tmp_path / "new").iterdir())
        await append_all(ledger, *EVERYTHING[4:])
    stored = while_open + b"".join(path.read_bytes() for path in (tmp_path / "new").iterdir())
    assert CHAIN.encode() in stored
    secrets = [HEADER.salt.value, HEADER.seed.value, START.host_part.value, KEY]
    words = [PROMPT.text, COMPLETION.text, STREAMED.text, "assistant"]
    for secret in (*secrets, *(secret.hex().encode() for secret in secrets)):
        assert secret not in stored
    for word in words:
        assert word.encode() not in stored
    assert repr(KEY) not in repr(where)


class Held:
    """A writer whose thread is held in its first change until `release`."""

    def __init__(self, database: Database) -> None:
        self.commits = 0
        sa.event.listen(database.writers, "commit", self._count)
        self.writer = GroupWriter(database)
        self._free = threading.Event()
        self._first = asyncio.ensure_future(self.writer.write(lambda _: self._free.wait()))

    def _count(self, _connection: sa.Connection) -> None:
        self.commits += 1

    async def queue(self, *changes: Change[object]) -> list[asyncio.Task[object]]:
        tasks = [asyncio.create_task(self.writer.write(change)) for change in changes]
        await asyncio.sleep(0)  # the tasks run up to where they wait
        return tasks

    async def release(self) -> None:
        self._free.set()
        await self._first


@pytest.fixture
def database(where: LedgerSettings) -> Database:
    return Database.open(where.url)


@pytest.fixture
async def held(database: Database) -> AsyncIterator[Held]:
    held = Held(database)
    yield held
    await held.release()
    held.writer.close()
    database.close()


def marking(mark: bytes) -> Change[object]:
    insert = metadata.tables["seen_inits"].insert()
    return lambda connection: connection.execute(
        insert, {"chain": CHAIN, "session_id": "7", "mark": mark}
    )


def marks(database: Database) -> list[bytes]:
    with database.read() as connection:
        query = sa.select(metadata.tables["seen_inits"].c.mark)
        return sorted(row.mark for row in connection.execute(query))


async def test_changes_that_wait_together_are_one_transaction(
    database: Database, held: Held
) -> None:
    numbers = [b"%03d" % number for number in range(100)]
    tasks = await held.queue(*map(marking, numbers))
    await held.release()
    await asyncio.gather(*tasks)
    assert held.commits <= 3
    assert marks(database) == numbers


async def test_a_bad_change_fails_alone(database: Database, held: Held) -> None:
    def fail(connection: sa.Connection) -> None:
        marking(b"of the bad one")(connection)
        raise ZeroDivisionError

    tasks = await held.queue(marking(b"a"), fail, marking(b"a"), marking(b"b"))
    await held.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [type(error) if isinstance(error, Exception) else None for error in results]
    assert errors == [None, ZeroDivisionError, LedgerConflict, None]
    assert marks(database) == [b"a", b"b"]


async def test_a_change_is_made_though_its_caller_is_cancelled(
    database: Database, held: Held
) -> None:
    cancelled, other = await held.queue(marking(b"a"), marking(b"b"))
    cancelled.cancel()
    await held.release()
    await other
    assert cancelled.cancelled()
    assert marks(database) == [b"a", b"b"]


async def test_closing_makes_what_is_queued_and_takes_no_more(
    database: Database, held: Held
) -> None:
    tasks = await held.queue(marking(b"a"), marking(b"b"))
    closing = asyncio.create_task(asyncio.to_thread(held.writer.close))
    await held.release()
    await closing
    assert marks(database) == [b"a", b"b"]
    await asyncio.gather(*tasks)
    with pytest.raises(LedgerUnavailable):
        await held.writer.write(marking(b"c"))


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


async def test_a_database_that_is_locked_too_long_is_told(where: LedgerSettings) -> None:
    impatient = replace(where, url=where.url + "?timeout=0.05")
    async with await Ledger.open(impatient) as ledger:
        lock = sqlite3.connect(Path(where.url.removeprefix("sqlite:///")), isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable):
            await ledger.append(ID, STARTED)
        assert await ledger.session(ID) is None  # readers do not wait
        lock.close()
        await ledger.append(ID, STARTED)


@pytest.mark.parametrize(
    "url", ["no url", "sqlite://", "nothing://here/x", "sqlite:////dev/null/x"]
)
async def test_a_place_that_holds_no_ledger_is_told(url: str) -> None:
    with pytest.raises(LedgerUnavailable):
        await Ledger.open(LedgerSettings(url, KEY, CHAIN))


def test_the_tables_can_be_made_in_postgresql() -> None:
    made: list[str] = []

    def keep(statement: sa.schema.ExecutableDDLElement, *_: object, **__: object) -> None:
        made.append(str(statement.compile(dialect=postgresql.dialect)))

    postgresql = sa.create_mock_engine("postgresql://", keep)
    metadata.create_all(postgresql, checkfirst=False)
    assert len(made) == len(metadata.tables) == 7


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    key = ledger_key(folder)
    assert len(key) == 32
    assert ledger_key(folder) == key
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert ledger_key(folder, "0x" + "ab" * 32) == b"\xab" * 32


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    ledger_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(LedgerKeyRefused, match="640"):
        ledger_key(tmp_path)


@pytest.mark.parametrize("given", ["", "ab" * 31, "cafe" * 15 + "nope"])
def test_a_key_that_is_none_is_refused_and_not_repeated(tmp_path: Path, given: str) -> None:
    with pytest.raises(LedgerKeyRefused) as error:
        ledger_key(tmp_path, given)
    assert "cafe" not in str(error.value)
    (tmp_path / KEY_FILE).write_text(given)
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(LedgerKeyRefused):
        ledger_key(tmp_path)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(LedgerError):
        LedgerSettings("sqlite:///x", b"short", CHAIN)
