"""A process that uses a ledger and is killed.

python -m … write FOLDER    appends to all sessions for ever; prints `SESSION NUMBER` when the
                            entry is durable
python -m … keys            for every folder on a line of the input, prints its key
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from platformless.protocol.seed import SeedPart
from platformless.protocol.transcript import Entry, Kind, Sampler
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings, ledger_key
from platformless.prover.ledger.values import (
    Changes,
    KeptEntry,
    SessionStart,
    StreamedTokens,
)
from tests.samples import HEADER

SESSIONS = 4
SAMPLER = Sampler(0.7, 40)


def settings(folder: Path) -> LedgerSettings:
    return LedgerSettings(f"sqlite:///{folder}/ledger.db", ledger_key(folder), "31337")


def entry(session_id: int, number: int) -> KeptEntry:
    """What the process writes: an answer that differs from all others."""
    what = Entry(Kind.COMPLETION, (session_id, number), f"{session_id}/{number}", SAMPLER)
    return KeptEntry(number, what, number)


async def write(ledger: Ledger, session_id: int) -> None:
    """Every answer is streamed first, then an entry, as the node does it."""
    known = await ledger.session(session_id)
    if known is None:
        await ledger.append(
            session_id, Changes(start=SessionStart(HEADER, SeedPart.zero(), SeedPart.zero()))
        )
    number = len(known.entries) if known else 0
    await ledger.append(session_id, Changes(drop_streamed=True))
    while True:
        tokens = entry(session_id, number).entry.tokens
        streamed = StreamedTokens(number, 0, tokens, "", SAMPLER, number)
        await ledger.append(session_id, Changes(streamed=streamed))
        done = Changes(entries=(entry(session_id, number),), drop_streamed=True)
        await ledger.append(session_id, done)
        print(session_id, number, flush=True)
        number += 1


async def write_all(folder: Path) -> None:
    async with await Ledger.open(settings(folder)) as ledger:
        await asyncio.gather(*(write(ledger, session_id) for session_id in range(SESSIONS)))


def show_keys() -> None:
    for line in sys.stdin:
        print(ledger_key(Path(line.strip())).hex(), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        asyncio.run(write_all(Path(sys.argv[2])))
    else:
        show_keys()
