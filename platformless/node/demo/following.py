"""Following a session's jobs to their end, in the host's ledger."""

from __future__ import annotations

import asyncio
import time

from ...prover.ledger.job_states import JobKind, JobState
from ...prover.ledger.job_values import Job, checkpoint_job, settlement_job
from ...prover.ledger.jobs import Jobs, clock_ms
from .display import DemoDisplay
from .errors import DemoFailed
from .report import ProvenCheckpoint, SampledCheckpoint

_PROOF_SECONDS = 480.0
_SAMPLE_SECONDS = 3 * 3600.0
_SETTLE_SECONDS = 180.0
_LOOK_SECONDS = 0.2


async def until_confirmed(jobs: Jobs, session_id: int, display: DemoDisplay) -> None:
    await _until_done(jobs, session_id, JobKind.CHECKPOINT, _PROOF_SECONDS, display)


async def until_sampled(jobs: Jobs, session_id: int, display: DemoDisplay) -> None:
    await _until_done(jobs, session_id, JobKind.SAMPLE, _SAMPLE_SECONDS, display)


async def _until_done(
    jobs: Jobs, session_id: int, kind: JobKind, seconds: float, display: DemoDisplay
) -> None:
    deadline = time.monotonic() + seconds
    with display.bar("proof") as advance:
        while True:
            of_session = await jobs.of_sessions([session_id])
            found = [job for job in of_session if job.kind is kind]
            if not found:
                raise DemoFailed(f"there is no {kind.value} to prove", expected="one", got="none")
            _require_going(found, deadline)
            done = sum(_fraction(job) for job in found) / len(found)
            slowest = min(found, key=_fraction)
            advance(done, f"{kind.value} {slowest.number} {slowest.state.value}")
            if all(job.state is JobState.CONFIRMED for job in found):
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _fraction(job: Job) -> float:
    """How far a checkpoint is; its proof is nearly all of it."""
    if job.state is JobState.CONFIRMED:
        return 1.0
    if job.state is JobState.PROVING:
        return 0.95 * job.progress.fraction(clock_ms() - job.began_ms)
    return 0.0 if job.state is JobState.RECORDED else 0.97


async def until_settled(jobs: Jobs, session_id: int, display: DemoDisplay) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    began_ms = clock_ms()
    with display.bar("settlement") as advance:
        while True:
            job = await jobs.job(settlement_job(session_id))
            _require_going([job], deadline)
            if job.state is JobState.CONFIRMED:
                advance(1.0, "settled")
                return
            waits = job.not_before_ms - began_ms
            done = min((clock_ms() - began_ms) / waits, 0.95) if waits > 0 else 0.0
            advance(done, "waiting for the dispute window" if waits > 0 else job.state.value)
            await asyncio.sleep(_LOOK_SECONDS)


def _require_going(found: list[Job], deadline: float) -> None:
    failed = [job for job in found if job.state is JobState.FAILED]
    if failed or time.monotonic() > deadline:
        raise DemoFailed(
            "the host did not bring it to an end",
            expected="confirmed jobs",
            got="; ".join(
                f"{job.id}: {job.state.value}"
                + (f" ({job.problem.code} {job.problem.message})" if job.problem else "")
                for job in found
            ),
        )


async def proven_checkpoints(jobs: Jobs, session_id: int) -> tuple[ProvenCheckpoint, ...]:
    found = []
    for job in await jobs.of_sessions([session_id]):
        artefact, sent = await jobs.artefact(job.id), await jobs.submission(job.id)
        if job.kind is JobKind.CHECKPOINT and artefact is not None:
            found.append(
                ProvenCheckpoint(
                    number=job.number,
                    tokens=job.tokens,
                    total_cycles=artefact.total_cycles,
                    segments=artefact.segments,
                    prove_seconds=artefact.prove_ms / 1000,
                    device=artefact.device,
                    bundle_bytes=artefact.size_bytes,
                    proof_hash=str(artefact.proof_hash),
                    proof_cid=sent.proof_cid or "",
                    delta_cid=sent.delta_cid or "",
                    transaction_hash=sent.transaction_hash or "",
                )
            )
    return tuple(found)


async def sampled_checkpoints(jobs: Jobs, session_id: int) -> tuple[SampledCheckpoint, ...]:
    found = []
    for job in await jobs.of_sessions([session_id]):
        if job.kind is not JobKind.SAMPLE:
            continue
        artefact, sent = await jobs.artefact(job.id), await jobs.submission(job.id)
        traced = await jobs.artefact(checkpoint_job(session_id, job.number))
        if artefact is None or traced is None:
            raise DemoFailed("a checkpoint's cells were not proven", got=job.id)
        found.append(
            SampledCheckpoint(
                number=job.number,
                total_cycles=artefact.total_cycles,
                segments=artefact.segments,
                prove_seconds=artefact.prove_ms / 1000,
                device=artefact.device,
                bundle_bytes=artefact.size_bytes,
                trace_root=str(traced.trace_root),
                proof_cid=sent.proof_cid or "",
            )
        )
    return tuple(found)
