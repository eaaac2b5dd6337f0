"""A process that uses a ledger together with others.

python -m … open NUMBER       opens and closes the ledger whose URL is on each line of the input
python -m … write URL         appends to SESSIONS sessions for ever; prints `SESSION NUMBER` when
                              the entry is durable
python -m … race NUMBER       in the ledger whose URL is on each line of the input, tries to take
                              MARKS inits and to append ENTRIES entries, as all others do; prints
                              how many it got
"""

from __future__ import annotations

import asyncio
import random
import sys

from platformless.prover.ledger.database import Database
from platformless.prover.ledger.errors import LedgerConflict
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from tests.node.ledger_process import SESSIONS, write

from .samples import CHAIN, ID, KEY, adding

MARKS = 40
ENTRIES = 20


def settings(url: str) -> LedgerSettings:
    return LedgerSettings(url, KEY, CHAIN)


def open_each() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            Database.open(line.strip()).close()
        except Exception as error:
            print(repr(error), flush=True)
        else:
            print("open", flush=True)


async def write_all(url: str) -> None:
    async with await Ledger.open(settings(url)) as ledger:
        await asyncio.gather(*(write(ledger, session_id) for session_id in range(SESSIONS)))


async def race(number: int) -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        async with await Ledger.open(settings(line.strip())) as ledger:
            numbers = list(range(MARKS))
            random.Random(number).shuffle(numbers)  # another order than others': they meet
            taken = await asyncio.gather(*(ledger.take_init(ID, b"%d" % n) for n in numbers))
            appended = [await append(ledger, number) for number in range(ENTRIES)]
        print(sum(taken), sum(appended), flush=True)


async def append(ledger: Ledger, number: int) -> bool:
    try:
        await ledger.append(ID, adding(number))
    except LedgerConflict:
        return False
    return True


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["open", _]:
            open_each()
        case ["write", url]:
            asyncio.run(write_all(url))
        case ["race", number]:
            asyncio.run(race(int(number)))
