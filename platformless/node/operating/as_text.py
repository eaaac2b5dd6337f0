"""Jobs as text for a person. Nothing is ever cut or folded: programs such as grep read it too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ...prover.ledger.job_states import PROOF_KINDS
from ...prover.ledger.job_values import Artefact, Attempt, Job, Problem, Submission
from .views import JobDetail, JobView

HEADINGS = ("id", "kind", "state", "age", "tokens", "attempts", "progress", "due in", "error")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_MEBI = 1 << 20


def duration(seconds: float) -> str:
    """Two units of time at most: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    whole = int(abs(seconds))
    sign = "-" if seconds < 0 and whole else ""
    if whole < _MINUTE:
        return f"{sign}{whole} s"
    if whole < _HOUR:
        return f"{sign}{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{sign}{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{sign}{whole // _DAY} d {whole % _DAY // _HOUR} h"


def percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{int(fraction * 100)} %"


def attempts_text(job: Job) -> str:
    """How often its proof was begun, and what failed in a row since the last success."""
    return f"{job.starts}" + (f" ({job.failures} failed)" if job.failures else "")


def due_text(view: JobView) -> str:
    return duration(view.due_in_seconds) if view.is_open else "-"


def state_text(view: JobView) -> str:
    """The state; a job that nobody holds, though a step was begun, says so."""
    was_lost = view.job.owner is not None and not view.is_held and view.is_open
    return view.job.state.value + (", lost" if was_lost else "")


def cells(view: JobView) -> tuple[str, ...]:
    """A job's row under `HEADINGS`."""
    job = view.job
    return (
        job.id,
        job.kind.value,
        state_text(view),
        duration(view.age_seconds),
        f"{job.tokens:,}",
        attempts_text(job),
        percent(view.progress),
        due_text(view),
        job.problem.code if job.problem else "-",
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns are under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def list_lines(views: Sequence[JobView]) -> list[str]:
    if not views:
        return ["no such jobs"]
    return aligned([HEADINGS, *map(cells, views)])


def detail_lines(detail: JobDetail) -> list[str]:
    """Everything about a job; what is not known yet is left out."""
    lines = _facts(_job_rows(detail.view))
    if detail.attempts:
        lines += ["", "attempts"]
        lines += ["  " + line for line in aligned([*map(_attempt_cells, detail.attempts)])]
        for attempt in detail.attempts:
            if attempt.problem is not None:
                lines.append(f"  {attempt.fence}: {_problem(attempt.problem)}")
    if detail.artefact is not None:
        lines += ["", "proof", *("  " + line for line in _facts(_artefact_rows(detail.artefact)))]
    if submission := _submission_rows(detail.submission):
        lines += ["", "submission", *("  " + line for line in _facts(submission))]
    return lines


def _job_rows(view: JobView) -> dict[str, str | None]:
    job = view.job
    cycles = job.progress
    told = f", {cycles.cycles_done:,} of {cycles.cycles_total:,} cycles in {cycles.segments_done} "
    told += f"of {cycles.segments_total} segments"
    checkpoint = f", checkpoint {job.number}" if job.kind in PROOF_KINDS else ""
    due = f"in {duration(view.due_in_seconds)}"
    if view.due_in_seconds < 0:
        due = f"{duration(-view.due_in_seconds)} ago"
    return {
        "job": f"{job.id} ({job.kind.value})",
        "session": f"{job.session_id}{checkpoint}",
        "state": state_text(view) + (f", from {job.failed_from.value}" if job.failed_from else ""),
        "queue": job.queue.value,
        "tokens": f"{job.tokens:,}",
        "created": f"{_time(job.created_ms)}, {duration(view.age_seconds)} ago",
        "changed": _time(job.changed_ms),
        "due": f"{_time(job.due_at * 1000)}, {due}",
        "attempts": attempts_text(job),
        "progress": percent(view.progress) + (told if cycles.cycles_total else "")
        if view.progress is not None
        else None,
        "held by": f"{job.owner} until {_time(job.lease_until_ms)}" if job.owner else None,
        "late for": job.late_for,
        "not before": _time(job.not_before_ms) if job.not_before_ms else None,
        "problem": _problem(job.problem) if job.problem else None,
    }


def _attempt_cells(attempt: Attempt) -> tuple[str, ...]:
    ended = attempt.ended_ms
    took = "" if ended is None else duration((ended - attempt.started_ms) / 1000)
    return (
        str(attempt.fence),
        attempt.step,
        attempt.owner,
        attempt.device or "-",
        _time(attempt.started_ms),
        took or "-",
        attempt.outcome or "under way",
    )


def _artefact_rows(artefact: Artefact) -> dict[str, str | None]:
    kept = "" if artefact.bundle is not None else ", no longer kept here"
    return {
        "hash": str(artefact.proof_hash),
        "size": f"{artefact.size_bytes:,} bytes{kept}",
        "receipt": f"{artefact.receipt_kind}, {artefact.segments} segments",
        "cycles": f"{artefact.total_cycles:,}",
        "made in": f"{artefact.prove_ms / 1000:.1f} s on {artefact.device}",
        "memory": f"{artefact.peak_memory_bytes / _MEBI:,.0f} MiB at most",
        "trace": str(artefact.trace_root) if artefact.trace_root is not None else None,
        "not traced": _problem(artefact.trace_problem) if artefact.trace_problem else None,
    }


def _submission_rows(submission: Submission) -> dict[str, str]:
    confirmed = submission.confirmed_ms
    rows: dict[str, str | None] = {
        "proof CID": submission.proof_cid,
        "delta CID": submission.delta_cid,
        "index CID": submission.index_cid,
        "transaction": submission.transaction_hash,
        "block": None if submission.block_number is None else f"{submission.block_number:,}",
        "fee": None if submission.fee_wei is None else f"{submission.fee_wei} wei",
        "host earned": _units(submission.host_earned, submission.token),
        "refunded": _units(submission.refunded, submission.token),
        "outcome": submission.outcome,
        "confirmed": None if confirmed is None else _time(confirmed),
    }
    return {name: value for name, value in rows.items() if value is not None}


def _units(digits: str | None, token: str | None) -> str | None:
    return None if digits is None else f"{digits} base units of {token or 'the token'}"


def _facts(rows: dict[str, str] | dict[str, str | None]) -> list[str]:
    return [f"{name:<14}{value}" for name, value in rows.items() if value is not None]


def _problem(problem: Problem) -> str:
    return f"{problem.code} {problem.message}"


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
