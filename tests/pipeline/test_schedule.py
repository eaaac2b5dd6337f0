"""Who builds which proof when, and in which order what was built goes on."""

from __future__ import annotations

from contextlib import AsyncExitStack

from platformless.protocol.window import Window
from platformless.prover.errors import ProverCrashed
from platformless.prover.ledger.job_claiming import LAST_CHOICE_MS
from platformless.prover.ledger.job_states import JobQueue, JobState
from platformless.prover.ledger.job_values import Worker, checkpoint_job

from .line import Line
from .stage import changed
from .stand_in import StandInProver

TOO_SLOW = 100_000.0
QUICK_BUT_DEAF = changed(reconcile_seconds=3600)


async def test_proofs_of_a_session_end_in_any_order_and_go_on_chain_in_theirs(line: Line) -> None:
    def earlier_ones_take_longer(prover: StandInProver, window: Window) -> None:
        prover.seconds = 0.4 - 0.08 * window.checkpoint

    async with AsyncExitStack() as workers:
        for number in range(3):
            prover = StandInProver()
            prover.fault = lambda window, prover=prover: earlier_ones_take_longer(prover, window)
            await workers.enter_async_context(line.proving(prover, owner=f"prover {number}"))
        await workers.enter_async_context(line.settling())
        session_id = await line.session(checkpoints=5)
        await line.until_over(session_id)
    await line.require_confirmed(session_id, 5)
    ended: dict[str, list[int]] = {"prove": [], "publish": [], "submit": []}
    for number in range(5):
        for attempt in await line.jobs.attempts(checkpoint_job(session_id, number)):
            if attempt.outcome == "done":
                ended[attempt.step].append(attempt.ended_ms or 0)
    assert ended["prove"] != sorted(ended["prove"])
    assert ended["publish"] == sorted(ended["publish"])
    assert ended["submit"] == sorted(ended["submit"])


async def test_the_session_nearest_its_timeout_is_proven_first(line: Line) -> None:
    timeouts = [3000, 700, 1800]
    ids = [await line.open(proof_timeout_seconds=seconds) for seconds in timeouts]
    for session_id in ids:
        await line.record(session_id, checkpoints=2)
    prover = StandInProver()
    async with line.proving(prover):
        for session_id in ids:
            await line.until_state(checkpoint_job(session_id, 1), JobState.PROVEN)
    built = [(window.header.terms.session_id, window.checkpoint) for window in prover.windows]
    by_urgency = [ids[1], ids[2], ids[0]]
    assert built == [(session_id, number) for session_id in by_urgency for number in range(2)]


async def test_a_device_that_would_be_late_says_so_and_a_faster_one_proves(line: Line) -> None:
    session_id = await line.open()
    await line.record(session_id, ring=False)  # the worker rings once, when it begins
    job_id = checkpoint_job(session_id, 0)
    slow = StandInProver(expected=TOO_SLOW)
    async with line.proving(slow, rules=QUICK_BUT_DEAF):
        refused = await line.until_problem(job_id, "PIP-001")
    assert (refused.state, refused.starts, refused.owner) == (JobState.RECORDED, 0, None)
    assert slow.windows == []
    async with line.proving(StandInProver(device="cuda", expected=1.0)):
        proven = await line.until_state(job_id, JobState.PROVEN)
    assert proven.problem is None
    assert await line.outcomes(job_id) == [
        ("cpu", "refused", "PIP-001"),
        ("cuda", "done", None),
    ]


async def test_what_nobody_would_finish_in_time_is_built_all_the_same_and_last(
    line: Line,
) -> None:
    urgent = await line.open(proof_timeout_seconds=600)
    patient = await line.open(proof_timeout_seconds=3600, longest_seconds=10_000)
    prover = StandInProver(expected=2000.0)
    for session_id in (urgent, patient):
        await line.record(session_id)
    async with line.proving(prover):
        await line.until_problem(checkpoint_job(urgent, 0), "PIP-001")
        await line.until_state(checkpoint_job(patient, 0), JobState.PROVEN)
        line.ahead_ms += LAST_CHOICE_MS
        await line.until_state(checkpoint_job(urgent, 0), JobState.PROVEN)
    built = [window.header.terms.session_id for window in prover.windows]
    assert built == [patient, urgent]
    assert await line.outcomes(checkpoint_job(urgent, 0)) == [
        ("cpu", "refused", "PIP-001"),
        ("cpu", "done", None),
    ]


async def test_a_lost_gpu_worker_is_followed_by_one_attempt_on_a_cpu(line: Line) -> None:
    session_id = await line.open()
    await line.record(session_id)
    job_id = checkpoint_job(session_id, 0)
    gone = Worker("a worker that is killed", "cuda", has_cpu=False)
    lease = await line.jobs.claim_proof(JobQueue.LIVE, gone, lease_ms=200, most_starts=5)
    assert lease is not None
    cpu, gpu = StandInProver(), StandInProver(device="cuda")
    async with line.proving(gpu, owner="another GPU"), line.proving(gpu, cpu, owner="both"):
        proven = await line.until_state(job_id, JobState.PROVEN)
    assert (gpu.windows, len(cpu.windows), proven.starts) == ([], 1, 2)
    assert await line.outcomes(job_id) == [("cuda", "lost", None), ("cpu", "done", None)]
    artefact = await line.jobs.artefact(job_id)
    assert artefact is not None
    assert artefact.device == "cpu"


async def test_a_gpu_prover_that_crashes_is_followed_by_the_cpu_of_its_machine(line: Line) -> None:
    def crash(_window: Window) -> None:
        raise ProverCrashed("the driver is gone")

    session_id = await line.open()
    await line.record(session_id, checkpoints=2)
    cpu, gpu = StandInProver(), StandInProver(device="cuda", fault=crash)
    async with line.proving(gpu, cpu):
        for number in range(2):
            await line.until_state(checkpoint_job(session_id, number), JobState.PROVEN)
    for number in range(2):
        assert await line.outcomes(checkpoint_job(session_id, number)) == [
            ("cuda", "failed", "PRV-002"),
            ("cpu", "done", None),
        ]


async def test_progress_is_in_the_ledger_while_a_proof_is_built(line: Line) -> None:
    session_id = await line.open()
    await line.record(session_id)
    job_id = checkpoint_job(session_id, 0)

    async def is_told() -> bool:
        job = await line.jobs.job(job_id)
        return job.progress.cycles_total > 0 and job.progress.expected_ms == 60_000

    async with line.proving(StandInProver(seconds=30.0, expected=60.0)):
        await line.until(is_told)
        job = await line.jobs.job(job_id)
        assert job.progress.segments_total == 1
        assert 0 <= job.progress.fraction(30_000) <= 1
