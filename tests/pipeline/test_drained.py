"""A whole node that is told to stop while it streams."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from platformless.client.errors import ConnectionLost
from platformless.node.backing import chain_tag, ledger_settings
from platformless.prover.ledger.ledger import Ledger

from .test_killed import STAND_IN_SECONDS, machine_on_chain

LONG = "Write a very long story about the sea, with many chapters."
FEWEST_CLAIMED = 100
_CHARACTERS = 700
"""Of more than a hundred tokens."""


async def test_what_was_streamed_before_a_stop_is_in_a_checkpoint(tmp_path: Path) -> None:
    async with (
        machine_on_chain(tmp_path, STAND_IN_SECONDS) as (machine, nodes),
        nodes.client() as client,
        await nodes.open(client) as session,
    ):
        answer = await session.ask(LONG, max_tokens=900)
        reading = asyncio.create_task(answer.text())
        async with asyncio.timeout(60):
            while len(answer.received) < _CHARACTERS:
                await asyncio.sleep(0.02)
        await machine.stop()  # the streams may go on for a while, then they are cut
        with contextlib.suppress(ConnectionLost):  # what it has got, it has verified
            await reading
        assert not session.transcript.unsettled
        assert session.tokens > 100
        settings = nodes.settings(data_folder=machine.folder / "node")
        tag = await chain_tag(nodes.world.chain)
        async with await Ledger.open(ledger_settings(settings, tag)) as ledger:
            kept = await ledger.session(session.id)
            jobs = await ledger.jobs.of_sessions([session.id])
        assert kept is not None
        assert sum(one.entry.billed for one in kept.entries) == session.tokens
        claimed = kept.checkpoints[-1].tokens_after
        assert session.tokens - claimed < FEWEST_CLAIMED  # the contract takes no smaller claim
        assert sum(job.tokens for job in jobs) == claimed
        assert [job.owner for job in jobs] == [None] * len(jobs)
