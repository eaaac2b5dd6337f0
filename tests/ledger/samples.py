"""What the tests of the ledger write into it, and how they look at it."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from platformless.protocol import acknowledgement
from platformless.protocol.delta import Delta, Message, delta_salt
from platformless.protocol.digests import ProofHash
from platformless.protocol.seed import SeedPart
from platformless.protocol.transcript import Entry, Sampler
from platformless.protocol.window import Window
from platformless.prover.ledger.database import Database
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.tables import seen_inits
from platformless.prover.ledger.values import (
    Changes,
    KeptAcknowledgement,
    KeptCheckpoint,
    KeptEntry,
    KeptSession,
    SessionStart,
    StreamedTokens,
)
from platformless.prover.ledger.writer import Change
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


async def append_all(ledger: Ledger, *changes: Changes) -> None:
    for change in changes:
        await ledger.append(ID, change)


async def kept(ledger: Ledger) -> KeptSession:
    session = await ledger.session(ID)
    assert session is not None
    return session


def marking(mark: bytes) -> Change[object]:
    row = {"chain": CHAIN, "session_id": "7", "mark": mark}
    return lambda connection: connection.execute(seen_inits.insert(), row)


def marks(database: Database) -> list[bytes]:
    with database.read() as connection:
        query = sa.select(seen_inits.c.mark)
        return sorted(row.mark for row in connection.execute(query))
