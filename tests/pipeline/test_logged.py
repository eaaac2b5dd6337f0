"""What the log says of a session's money: submitted, confirmed, paid, each with its ids."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from platformless.chain.money import Amount
from platformless.node.logs import JsonLines
from platformless.prover.ledger.job_values import checkpoint_job, settlement_job

from .line import Line
from .stage import TOKENS


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Of JSON, at INFO."""
    log, stream = logging.getLogger("platformless"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines("settlement"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield stream
    log.removeHandler(handler)
    log.setLevel(level)


async def test_payments_are_followed_by_job_and_session(line: Line, lines: io.StringIO) -> None:
    async with line.running():
        session_id = await line.session(checkpoints=1)
        await line.until_over(session_id)
    told = [json.loads(text) for text in lines.getvalue().splitlines()]
    proof, settlement = checkpoint_job(session_id, 0), settlement_job(session_id)
    about = f"job {proof}: "
    of_proof = [one for one in told if one["message"].startswith(about)]
    steps = [one["message"].removeprefix(about).split()[0] for one in of_proof]
    assert steps == ["proving", "proven", "published", "submitted", "confirmed"]
    assert {(one["level"], one["job"], one["session"]) for one in of_proof} == {
        ("INFO", proof, session_id)
    }
    confirmed = of_proof[-1]
    on_chain = await line.jobs.submission(proof)
    assert confirmed["tokens"] == TOKENS
    assert confirmed["transaction"] == on_chain.transaction_hash
    assert confirmed["block"] == on_chain.block_number

    settled = next(one for one in told if one.get("outcome") == "completed")
    session = await line.on_chain(session_id)
    assert (settled["level"], settled["job"]) == ("INFO", settlement)
    assert settled["host_earned"] == str(session.paid_to_host.units)
    earned = Amount(session.paid_to_host.units, session.deposit.token)
    assert f"the host earns {earned}, the client gets back {session.refunded}" in settled["message"]
