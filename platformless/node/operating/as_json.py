"""Jobs as JSON. Fields are only ever added.

Times named `_ms` are Unix milliseconds, `due_at` Unix seconds; session ids are decimal text, since
they may exceed what a reader of JSON can hold; amounts are decimal digits of the token's smallest
unit, as in the ledger.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ...prover.ledger.job_values import Artefact, Attempt, Problem
from .views import JobDetail, JobView

_DIGITS = 3


def job_json(view: JobView) -> dict[str, Any]:
    job = view.job
    return {
        "id": job.id,
        "kind": job.kind.value,
        "session_id": str(job.session_id),
        "number": job.number,
        "queue": job.queue.value,
        "state": job.state.value,
        "tokens": int(job.tokens),
        "created_ms": job.created_ms,
        "changed_ms": job.changed_ms,
        "age_seconds": round(view.age_seconds, _DIGITS),
        "due_at": job.due_at,
        "due_in_seconds": round(view.due_in_seconds, _DIGITS),
        "starts": job.starts,
        "failures": job.failures,
        "not_before_ms": job.not_before_ms,
        "is_held": view.is_held,
        "owner": job.owner,
        "lease_until_ms": job.lease_until_ms,
        "device": job.device,
        "late_for": job.late_for,
        "failed_from": None if job.failed_from is None else job.failed_from.value,
        "problem": _problem(job.problem),
        "progress": None if view.progress is None else round(view.progress, _DIGITS),
    }


def detail_json(detail: JobDetail) -> dict[str, Any]:
    """The fields of a `jobs show`, beside those that every command has."""
    return {
        "job": job_json(detail.view) | {"proof": dataclasses.asdict(detail.view.job.progress)},
        "attempts": [_attempt(attempt) for attempt in detail.attempts],
        "artefact": None if detail.artefact is None else _artefact(detail.artefact),
        "submission": dataclasses.asdict(detail.submission),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "fence": attempt.fence,
        "step": attempt.step,
        "owner": attempt.owner,
        "device": attempt.device,
        "started_ms": attempt.started_ms,
        "ended_ms": attempt.ended_ms,
        "outcome": attempt.outcome,
        "problem": _problem(attempt.problem),
    }


def _artefact(artefact: Artefact) -> dict[str, Any]:
    return {
        "proof_hash": str(artefact.proof_hash),
        "size_bytes": artefact.size_bytes,
        "is_kept": artefact.bundle is not None,
        "device": artefact.device,
        "receipt_kind": artefact.receipt_kind,
        "total_cycles": artefact.total_cycles,
        "segments": artefact.segments,
        "prove_ms": artefact.prove_ms,
        "peak_memory_bytes": artefact.peak_memory_bytes,
        "trace_root": None if artefact.trace_root is None else str(artefact.trace_root),
        "trace_problem": None
        if artefact.trace_problem is None
        else {"code": artefact.trace_problem.code, "message": artefact.trace_problem.message},
    }


def _problem(problem: Problem | None) -> dict[str, str] | None:
    return None if problem is None else {"code": problem.code, "message": problem.message}
