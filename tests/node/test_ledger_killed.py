"""Ledger processes that are killed, and two that start at once."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from platformless.prover.ledger.ledger import Ledger
from tests.node.ledger_process import SESSIONS, entry, settings

ROOT = Path(__file__).parents[2]
KILLS = 10
FOLDERS = 30


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.node.ledger_process",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )


async def write_and_kill(folder: Path, lines: int) -> dict[int, int]:
    """The number of the last entry that was durable, by session, when the process was killed
    after so many lines."""
    process = await start("write", str(folder))
    assert process.stdout is not None
    printed = [await process.stdout.readline() for _ in range(lines)]
    assert process.returncode is None
    process.kill()
    rest, _ = await process.communicate()
    # A line without its end was not yet printed.
    printed += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    pairs = (line.split() for line in printed)
    return {int(session_id): int(number) for session_id, number in pairs}


async def require_written(folder: Path, durable: dict[int, int]) -> None:
    async with await Ledger.open(settings(folder)) as ledger:
        for session_id in range(SESSIONS):
            session = await ledger.session(session_id)
            entries = session.entries if session else ()
            assert len(entries) > durable.get(session_id, -1)
            assert entries == tuple(entry(session_id, number) for number in range(len(entries)))
            for streamed in session.streamed if session else ():
                assert streamed.number == len(entries)


async def test_a_writer_killed_again_and_again_loses_nothing_that_was_durable(
    tmp_path: Path,
) -> None:
    chance = random.Random(7)
    durable: dict[int, int] = {}
    for _ in range(KILLS):
        durable |= await write_and_kill(tmp_path, chance.randrange(1, 200))
        await require_written(tmp_path, durable)
    assert set(durable) == set(range(SESSIONS))


async def test_two_processes_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    processes = [await start("keys") for _ in range(2)]

    async def ask(process: asyncio.subprocess.Process, folder: Path) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{folder}\n".encode())
        return await process.stdout.readline()

    for number in range(FOLDERS):
        keys = await asyncio.gather(
            *(ask(process, tmp_path / str(number)) for process in processes)
        )
        assert len(keys[0]) == 65
        assert keys[0] == keys[1]
    for process in processes:
        await process.communicate(b"")  # ends its input
