"""From a checkpoint in the ledger to money: the same over every database and broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platformless.chain.events import SessionEvents
from platformless.chain.session import SessionStatus
from platformless.protocol import delta as deltas
from platformless.protocol import index as indexes
from platformless.protocol.bundle import Bundle
from platformless.protocol.digests import ProofHash
from platformless.prover.ledger.job_values import checkpoint_job, settlement_job
from tests.chain.world import World

from .line import Line
from .recorded import CLIENT_KEY
from .stage import TOKENS

SERVICES = {
    "SQLite and the embedded Valkey": (None, "valkey_server"),
    "PostgreSQL and Redis": ("postgresql_url", "redis_url"),
    "PostgreSQL and RabbitMQ": ("postgresql_url", "rabbitmq_url"),
}


@pytest.fixture(params=list(SERVICES.values()), ids=list(SERVICES))
async def anywhere(
    request: pytest.FixtureRequest, world: World, tmp_path: Path
) -> AsyncIterator[Line]:
    """A line over each pair of services."""
    database, broker = request.param
    ledger_url = request.getfixturevalue(database) if database else ""
    found = request.getfixturevalue(broker)
    async with Line(world, tmp_path, getattr(found, "url", found), ledger_url) as line:
        yield line


async def test_a_session_goes_all_the_way(anywhere: Line) -> None:
    line = anywhere
    host, client = await line.money("host"), await line.money("client")
    async with line.running():
        session_id = await line.session(checkpoints=3)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 3)
    session = await line.on_chain(session_id)
    await require_events(line, session_id)
    await require_published(line, session_id, session.conversation_cid)

    settled = await line.jobs.submission(settlement_job(session_id))
    assert session.status is SessionStatus.COMPLETED
    assert session.tokens_proven == 3 * TOKENS
    assert settled.outcome == "completed"
    assert settled.host_earned == str(session.paid_to_host.units)
    assert settled.refunded == str(session.refunded.units)
    assert settled.token == session.deposit.token.symbol
    assert session.paid_to_host.units > 0
    assert await line.money("host") == host + session.paid_to_host.units
    assert await line.money("client") == client - session.deposit.units + session.refunded.units


async def require_events(line: Line, session_id: int) -> None:
    """The chain says what the ledger says."""
    session = await line.on_chain(session_id)
    events = await SessionEvents(line.world.chain).proofs(session)
    assert len(events) == 3
    for number, event in enumerate(events):
        told = await line.jobs.submission(checkpoint_job(session_id, number))
        artefact = await line.jobs.artefact(checkpoint_job(session_id, number))
        assert artefact is not None
        assert artefact.bundle is None  # confirmed: storage has it
        assert event.tokens == TOKENS
        assert event.proof_hash == artefact.proof_hash
        assert (event.proof_cid, event.delta_cid) == (told.proof_cid, told.delta_cid)
        assert event.place.transaction_hash == told.transaction_hash
        assert event.place.block_number == told.block_number
        assert int(told.fee_wei or 0) > 0
        assert told.confirmed_ms is not None


async def require_published(line: Line, session_id: int, index_cid: str) -> None:
    """Bundle, delta and index lie in storage under their CIDs, the delta sealed for the client."""
    index = indexes.decode(await line.stored(index_cid)).index
    assert len(index.entries) == 3
    for number, entry in enumerate(index.entries):
        told = await line.jobs.submission(checkpoint_job(session_id, number))
        assert (entry.proof_cid, entry.delta_cid) == (told.proof_cid, told.delta_cid)
        bundle = await line.stored(entry.proof_cid)
        assert ProofHash.of(bundle) == entry.proof_hash
        window = await line.ledger.window(session_id, number)
        assert Bundle.decode(bundle).journal == window.claim().encode()
        sealed = deltas.decode(await line.stored(entry.delta_cid))
        assert isinstance(sealed, deltas.SealedDelta)
        delta = sealed.open(CLIENT_KEY).delta
        assert delta.proof_hash == entry.proof_hash
        assert [message.role for message in delta.messages] == ["user", "assistant"]
