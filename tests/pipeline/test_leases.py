"""Who works on a job: one at a time, whatever clocks, workers and operators do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from platformless.protocol.acknowledgement import AcknowledgementSignature
from platformless.protocol.digests import ProofHash
from platformless.protocol.window import Window
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_values import Artefact, Problem, Worker, checkpoint_job
from platformless.prover.messages import OnProgress

from .line import Line, dramatiqs_threads
from .stage import changed
from .stand_in import StandInProver

DAY_MS = 86_400_000


@dataclass
class RememberingProver(StandInProver):
    """Keeps what it built, and whether it was stopped. Begins when `gate` is open."""

    gate: asyncio.Event | None = None
    built: list[ProofHash] = field(default_factory=list)
    stopped: bool = False

    async def prove(
        self,
        window: Window,
        acknowledgement: AcknowledgementSignature | None,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        try:
            if self.gate is not None:
                await self.gate.wait()
            artefact = await super().prove(
                window, acknowledgement, deadline_seconds=deadline_seconds, on_progress=on_progress
            )
        except asyncio.CancelledError:
            self.stopped = True
            raise
        self.built.append(artefact.proof_hash)
        return artefact


async def test_what_a_worker_builds_after_its_lease_is_thrown_away(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def renew(*_: Any) -> None:
        """Does not reach the ledger."""

    session_id = await line.open()
    await line.record(session_id)
    job_id = checkpoint_job(session_id, 0)
    gate = asyncio.Event()
    forgetful, prompt = RememberingProver(seconds=0.0, gate=gate), RememberingProver()
    async with await line.open_ledger() as cut_off:
        monkeypatch.setattr(cut_off.jobs, "renew", renew)
        short = changed(lease_seconds=0.2)
        async with line.proving(forgetful, owner="first", ledger=cut_off, rules=short):
            await line.until_state(job_id, JobState.PROVING)
            async with line.proving(prompt, owner="second"):
                await line.until_state(job_id, JobState.PROVEN)
            gate.set()

            async def has_ended() -> bool:
                return bool(forgetful.built)

            await line.until(has_ended)
    artefact = await line.jobs.artefact(job_id)
    assert artefact is not None
    assert [artefact.proof_hash] == prompt.built != forgetful.built
    assert await line.outcomes(job_id) == [("cpu", "lost", None), ("cpu", "done", None)]
    async with line.settling():
        await line.end(session_id)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 1)


async def test_a_worker_that_hears_of_its_lost_lease_stops_at_once(line: Line) -> None:
    session_id = await line.open()
    await line.record(session_id)
    job_id = checkpoint_job(session_id, 0)
    prover = RememberingProver(seconds=60.0)

    async def is_stopped() -> bool:
        return prover.stopped

    async with line.proving(prover):
        await line.until_state(job_id, JobState.PROVING)
        await line.jobs.fail_unheld(job_id, Problem("TST-001", "given up by somebody"))
        await line.until(is_stopped)
    job = await line.jobs.job(job_id)
    assert (job.state, job.problem) == (
        JobState.FAILED,
        Problem("TST-001", "given up by somebody"),
    )
    assert await line.outcomes(job_id) == [("cpu", "failed", None)]


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS])
async def test_clocks_may_jump_by_a_day_during_a_proof(line: Line, jump_ms: int) -> None:
    session_id = await line.open()
    async with line.running(StandInProver(seconds=0.3)):
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), JobState.PROVING)
        line.ahead_ms += jump_ms
        await line.until_state(
            checkpoint_job(session_id, 0), JobState.PROVEN, JobState.PUBLISHED, JobState.CONFIRMED
        )
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 1), JobState.PROVING)
        line.ahead_ms -= jump_ms
        await line.end(session_id)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 2)


async def test_a_worker_that_is_told_to_stop_gives_its_job_back(line: Line) -> None:
    session_id = await line.open()
    await line.record(session_id)
    tasks = asyncio.all_tasks()
    job_id = checkpoint_job(session_id, 0)
    async with line.running(StandInProver(seconds=60.0), watch=True):
        await line.until_state(job_id, JobState.PROVING)
        assert dramatiqs_threads()
    assert dramatiqs_threads() == []

    async def nobody_is_left() -> bool:  # the senders of the test's own accounts ask now and then
        return asyncio.all_tasks() - {asyncio.current_task()} <= tasks

    await line.until(nobody_is_left)
    job = await line.jobs.job(job_id)
    assert (job.state, job.owner, job.starts) == (JobState.RECORDED, None, 0)
    assert job.progress.cycles_total == 0
    assert await line.outcomes(job_id) == [("cpu", "released", None)]
    async with line.proving():
        job = await line.until_state(job_id, JobState.PROVEN)
    assert job.starts == 1


async def test_a_start_that_was_interrupted_is_not_counted_however_often(line: Line) -> None:
    session_id = await line.open()
    await line.record(session_id)
    job_id = checkpoint_job(session_id, 0)
    for _ in range(line.rules.most_starts + 1):
        async with line.proving(StandInProver(seconds=60.0)):
            await line.until_state(job_id, JobState.PROVING)
    async with line.proving():
        await line.until_state(job_id, JobState.PROVEN)


async def test_a_worker_that_dies_with_a_job_again_and_again_ends_it(line: Line) -> None:
    session_id = await line.open()
    await line.record(session_id, checkpoints=2)
    job_id = checkpoint_job(session_id, 0)
    rules = changed(most_starts=2, reconcile_seconds=0.05)
    for _ in range(2):
        dying = Worker("a worker that is killed", "cpu", has_cpu=True)
        lease = await line.jobs.claim_proof(JobQueue.LIVE, dying, lease_ms=1, most_starts=2)
        assert lease is not None
        assert lease.job.id == job_id
        await asyncio.sleep(0.01)
    async with line.proving(rules=rules):
        job = await line.until_state(job_id, JobState.FAILED)
        await line.until_state(checkpoint_job(session_id, 1), JobState.PROVEN)
    assert job.problem is not None
    assert job.problem.code == "LED-011"
