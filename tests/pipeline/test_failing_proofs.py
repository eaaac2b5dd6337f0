"""A checkpoint that cannot be proven: it ends with its code, and keeps nobody else from their
money longer than it must."""

from __future__ import annotations

from platformless.chain.session import SessionStatus
from platformless.protocol.window import Window
from platformless.prover.errors import ProverCrashed, ProverRefused
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import checkpoint_job, settlement_job

from .line import TIME_PASSES_FOR, Line
from .stage import TOKENS, changed
from .stand_in import StandInProver

WAITS_FOR_RETRY = "PIP-005"


class Poison:
    """Crashes the prover on one checkpoint of one session, until it is `gone`."""

    def __init__(self, checkpoint: int, error: Exception) -> None:
        self.session_id = 0
        self.checkpoint = checkpoint
        self.error = error
        self.gone = False

    def __call__(self, window: Window) -> None:
        is_it = (window.header.terms.session_id, window.checkpoint) == (
            self.session_id,
            self.checkpoint,
        )
        if is_it and not self.gone:
            raise self.error


async def poisoned(line: Line, poison: Poison) -> tuple[int, int]:
    """A session with the checkpoint, and one that comes after it. Both are ended."""
    poison.session_id = await line.session(checkpoints=3)
    return poison.session_id, await line.session(checkpoints=2)


async def test_a_proof_that_crashes_its_prover_ends_and_a_retry_brings_all_home(
    line: Line,
) -> None:
    line.rules = changed(most_starts=3)
    poison = Poison(1, ProverCrashed("killed by signal 11"))
    async with line.running(StandInProver(fault=poison)):
        session_id, other = await poisoned(line, poison)
        await line.until_over(other)
        await line.require_confirmed(other, 2)
        failed = await line.until_state(checkpoint_job(session_id, 1), JobState.FAILED)
        assert failed.problem is not None
        assert failed.problem.code == "LED-011"
        assert "PRV-002" in failed.problem.message
        assert failed.starts == 3
        waiting = await line.until_problem(settlement_job(session_id), WAITS_FOR_RETRY)
        assert waiting.state is JobState.RECORDED
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
        await line.until_state(checkpoint_job(session_id, 2), JobState.PROVEN)
        assert (await line.on_chain(session_id)).status is SessionStatus.ACTIVE

        poison.gone = True
        await line.jobs.retry(checkpoint_job(session_id, 1))
        await line.until_state(checkpoint_job(session_id, 1), JobState.CONFIRMED)
        await line.until_over(session_id, waiting=(*TIME_PASSES_FOR, WAITS_FOR_RETRY))
    await line.require_confirmed(session_id, 3)
    assert (await line.on_chain(session_id)).tokens_proven == 3 * TOKENS


async def test_what_follows_a_failed_proof_is_given_up_near_the_sessions_end(line: Line) -> None:
    poison = Poison(1, ProverRefused("STP-001", "no such guest"))
    async with line.running(StandInProver(fault=poison)):
        session_id, other = await poisoned(line, poison)
        await line.until_over(other)
        await line.until_problem(settlement_job(session_id), WAITS_FOR_RETRY)
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
        jobs = await line.until_over(session_id, waiting=(*TIME_PASSES_FOR, WAITS_FOR_RETRY))
    told = [(job.state.value, job.problem.code if job.problem else None) for job in jobs]
    assert told == [
        ("confirmed", None),
        ("failed", "PRV-003"),
        ("failed", "PIP-002"),
        ("confirmed", None),
    ]
    session = await line.on_chain(session_id)
    assert session.status is SessionStatus.COMPLETED
    assert session.tokens_proven == TOKENS
    settled = await line.jobs.submission(settlement_job(session_id))
    assert settled.host_earned == str(session.paid_to_host.units)
    assert session.paid_to_host.units > 0
    head = await line.world.chain.head()
    assert head.timestamp < session.times_out_at + line.rules.retry_margin_seconds


async def test_an_error_that_nobody_foresaw_is_met_a_few_times(line: Line) -> None:
    line.rules = changed(most_failures=2)
    poison = Poison(1, ZeroDivisionError("nobody foresaw"))
    async with line.running(StandInProver(fault=poison)):
        session_id, _ = await poisoned(line, poison)
        job = await line.until_state(checkpoint_job(session_id, 1), JobState.FAILED)
    assert job.problem is not None
    assert job.problem.code == "PLA-000"
    assert "nobody foresaw" in job.problem.message
    failed = ("cpu", "failed", "PLA-000")
    assert await line.outcomes(job.id) == [failed, failed]
