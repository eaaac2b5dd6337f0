"""An endpoint that is behind the chain: what it does not know yet is asked again."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import checkpoint_job, settlement_job
from tests.chain.faulty import Fault, FaultyNode, for_method, reply

from .line import Line

CONFIRMED, FAILED = JobState.CONFIRMED, JobState.FAILED
LOW_FIRST = {"code": 3, "message": "execution reverted: Low first"}


def times(count: int, fault: Fault) -> Fault:
    """The fault, so often; then none."""
    left = [count]

    async def some(call: dict[str, Any]) -> web.Response | None:
        answer = await fault(call) if left[0] else None
        left[0] -= answer is not None
        return answer

    return some


async def test_a_later_checkpoint_waits_for_an_endpoint_that_is_behind(
    relayed: Line, relay: FaultyNode
) -> None:
    """It answers as if the first proof, which may not be so small, were not there."""
    line = relayed
    session_id = await line.open()
    async with line.running():
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), CONFIRMED)
        await line.pass_time(60)
        relay.fault = times(2, for_method("eth_estimateGas", reply(error=LOW_FIRST)))
        await line.record(session_id)
        last = checkpoint_job(session_id, 1)
        assert (await line.until_state(last, CONFIRMED, FAILED)).state is CONFIRMED
        await line.end(session_id)
        await line.until_over(session_id)
    assert (await line.jobs.job(settlement_job(session_id))).state is CONFIRMED
