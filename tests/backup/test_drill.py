"""The drill: a machine dies with everything on it, and another one takes its place from a backup.

The node is the real one in its processes, with the real model, and a user who talks to it; the
prover is the stand-in of `tests.pipeline`, which on the first machine never comes to an end.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformless.chain.events import SessionEvents
from platformless.chain.marketplace import Marketplace
from platformless.chain.session import SessionStatus
from platformless.client import Client
from platformless.client.errors import ClientError
from platformless.node.backing import chain_tag, ledger_settings
from platformless.prover.ledger.job_states import JobKind, JobState
from platformless.prover.ledger.ledger import Ledger
from tests.chain.world import World
from tests.node.world import NodeWorld
from tests.pipeline.machine import Machine
from tests.pipeline.outcome import until_settled
from tests.pipeline.test_killed import QUICK, machine_on_chain

NEVER = 3600.0
PASSPHRASE = "a passphrase of the test"  # noqa: S105
PATIENT = {**QUICK, "settle_idle_seconds": 30}  # its user has time to come back
LONG = "Tell me a very long story about the sea."


async def command(environment: Mapping[str, str], *words: str, status: int = 0) -> Any:
    """`fabstir-llm-node …` as an operator calls it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "platformless.node", *words, "--json"),
        env={
            "PATH": os.environ["PATH"],
            **environment,
            "BACKUP_PASSPHRASE": PASSPHRASE,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == status, (out + errors).decode()
    return json.loads(out)


async def test_a_node_comes_back_from_a_backup_and_is_paid_once(tmp_path: Path) -> None:
    """The backup is made while an answer streams; afterwards the disk is gone."""
    async with machine_on_chain(tmp_path, NEVER) as (lost, nodes):
        data = lost.folder / "node"
        environment = nodes.environment(**QUICK, data_folder=data)
        archive = tmp_path / "backup.tar"
        async with nodes.client() as client:
            session = await nodes.open(client)
            await session.connect()
            first = await session.ask(LONG, max_tokens=110)
            await first.text()
            backing_up = asyncio.create_task(
                command(environment, "backup", str(archive), "--with-key", "--env-file", os.devnull)
            )
            second = await session.ask("And then?", max_tokens=200)
            async for _ in second:
                if backing_up.done():
                    break
            told = await backing_up
            assert told["backup"]["has_key"]
            verified = await command(environment, "backup", "verify", str(archive))
            assert verified["outcome"] == "accepted"

            await require_refused_beside(environment, archive, data, tmp_path / "beside")

            crashed = time.monotonic()
            await lost.kill_supervisor()
            shutil.rmtree(data)

            folder = tmp_path / "new"
            folder.mkdir()
            new = Machine(
                folder,
                nodes.environment(**PATIENT, data_folder=folder / "node"),
                nodes.world.dev_chain.rpc_url,
                0.1,
            )
            environment = nodes.environment(**QUICK, data_folder=folder / "node")
            words = ("restore", str(archive), "--into", str(folder / "node"))
            await command(environment, *words, "--env-file", os.devnull)
            refused = await command(environment, *words, "--env-file", os.devnull, status=2)
            assert refused["error"]["code"] == "BAK-005"
            await nodes.announce(new.url)
            try:
                await new.start()
                await new.ready()
                print(f"serving again {time.monotonic() - crashed:.1f} s after the crash")
                await session.close()
                print(f"the session: {await gone_on(client, session.id)}")
                await require_paid_once(nodes, new, session.id)
                await new.stop()
            finally:
                await new.destroy()


async def require_refused_beside(
    environment: Mapping[str, str], archive: Path, data: Path, other: Path
) -> None:
    """While the host's node runs nothing is restored, here or elsewhere."""
    words = ("restore", str(archive), "--env-file", os.devnull, "--into")
    refused = await command(environment, *words, str(other), status=3)
    assert refused["error"]["code"] == "BAK-009"
    refused = await command(environment, *words, str(data), "--offline", status=2)
    assert refused["error"]["code"] == "BAK-005"


async def gone_on(client: Client, session_id: int) -> str:
    """What becomes of a conversation of which the host has forgotten the end."""
    try:
        session = await client.resume(session_id)
        async with session:
            answer = await session.ask("Go on.", max_tokens=30)
            await answer.text()
            await session.end()
    except ClientError as error:
        return str(error)
    return "went on"


async def require_paid_once(nodes: NodeWorld, machine: Machine, session_id: int) -> None:
    """All that was cut into checkpoints in the backup, or after it, is on chain in one proof each,
    and the session is settled."""
    world: World = nodes.world
    settings = nodes.settings(data_folder=machine.folder / "node")
    kept_in = ledger_settings(settings, await chain_tag(world.chain))
    async with await Ledger.open(kept_in) as ledger:
        await until_settled(ledger.jobs, [session_id], machine)
        jobs = await ledger.jobs.of_sessions([session_id])
        kept = await ledger.session(session_id)
        assert kept is not None
        on_chain = await Marketplace(world.chain).session(session_id)
        assert on_chain.status is SessionStatus.COMPLETED
        events = await SessionEvents(world.chain).proofs(on_chain)
        cut = [(one.tokens_before, one.tokens_after) for one in kept.checkpoints]
        assert cut[0][0] == 0
        assert [event.tokens for event in events] == [after - before for before, after in cut]
        assert on_chain.tokens_proven == cut[-1][1] >= 100
        assert all(job.state is JobState.CONFIRMED for job in jobs)
        assert len([job for job in jobs if job.kind is JobKind.CHECKPOINT]) == len(cut)
