"""Several processes over one database: that start at once, that want the same, that are killed."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from platformless.prover.ledger.ledger import Ledger
from tests.node.ledger_process import SESSIONS, entry
from tests.services.postgresql import PostgreSQL

from .ledger_process import ENTRIES, MARKS, settings
from .samples import ID, STARTED, adding, kept

ROOT = Path(__file__).parents[2]
PROCESSES = 3
KILLS = 3


class Process:
    """A process of ledger_process.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._stdin, self._stdout = process, process.stdin, process.stdout

    @classmethod
    async def start(cls, *arguments: str) -> Process:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.ledger.ledger_process",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
            )
        )

    async def line(self) -> str:
        return (await self._stdout.readline()).decode()

    async def ask(self, line: str) -> str:
        self._stdin.write(f"{line}\n".encode())
        return (await self.line()).strip()


async def start_all(*arguments: str) -> list[Process]:
    """Each gets its number, too; they are ready when this returns."""
    processes = await asyncio.gather(
        *(Process.start(*arguments, str(number)) for number in range(PROCESSES))
    )
    assert [await process.line() for process in processes] == ["ready\n"] * PROCESSES
    return processes


async def ask_all(processes: list[Process], line: str) -> list[str]:
    return await asyncio.gather(*(process.ask(line) for process in processes))


async def end_all(processes: list[Process]) -> None:
    for process in processes:
        await process.process.communicate(b"")  # ends its input


@pytest.fixture
def new_urls(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[list[str]]:
    """Of places without a ledger: two files, two databases of a server."""
    files = [f"sqlite:///{tmp_path}/{number}/ledger.db" for number in range(2)]
    with postgresql.database() as first, postgresql.database() as second:
        yield [*files, first, second]


async def test_processes_that_open_a_new_ledger_at_once_all_succeed(new_urls: list[str]) -> None:
    processes = await start_all("open")
    for url in new_urls:
        assert await ask_all(processes, url) == ["open"] * PROCESSES
    await end_all(processes)


async def test_what_several_processes_want_one_of_them_gets(new_urls: list[str]) -> None:
    processes = await start_all("race")
    for url in new_urls:
        async with await Ledger.open(settings(url)) as ledger:
            await ledger.append(ID, STARTED)
            results = await ask_all(processes, url)
            taken, appended = zip(*(map(int, result.split()) for result in results), strict=True)
            assert (sum(taken), sum(appended)) == (MARKS, ENTRIES)
            assert (await kept(ledger)).entries == adding(*range(ENTRIES)).entries
    await end_all(processes)


async def write_and_kill(url: str, lines: int) -> dict[int, int]:
    """The number of the last entry that was durable, by session, when the process was killed
    after so many lines."""
    process = await Process.start("write", url)
    printed = [await process.line() for _ in range(lines)]
    assert process.process.returncode is None
    process.process.kill()
    rest, _ = await process.process.communicate()
    # A line without its end was not yet printed.
    printed += [line for line in rest.decode().splitlines(keepends=True) if line.endswith("\n")]
    return {int(session_id): int(number) for session_id, number in map(str.split, printed)}


async def require_written(url: str, durable: dict[int, int]) -> None:
    async with await Ledger.open(settings(url)) as ledger:
        for session_id in range(SESSIONS):
            session = await ledger.session(session_id)
            entries = session.entries if session else ()
            assert len(entries) > durable.get(session_id, -1)
            assert entries == tuple(entry(session_id, number) for number in range(len(entries)))
            for streamed in session.streamed if session else ():
                assert streamed.number == len(entries)


async def test_a_writer_killed_again_and_again_loses_nothing_that_was_durable(
    postgresql_url: str, postgresql: PostgreSQL
) -> None:
    """The server's crash loses nothing either."""
    chance = random.Random(7)
    durable: dict[int, int] = {}
    for _ in range(KILLS):
        durable |= await write_and_kill(postgresql_url, chance.randrange(1, 200))
        postgresql.crash()
        postgresql.start()
        await require_written(postgresql_url, durable)
    assert set(durable) == set(range(SESSIONS))
