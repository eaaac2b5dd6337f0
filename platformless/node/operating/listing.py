"""`fabstir-llm-node jobs`, `jobs show` and `jobs retry`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import typer
from rich.markup import escape

from ...console import BadInput, Output
from ...prover.ledger.job_states import JobState
from ...prover.ledger.jobs import Jobs, clock_ms
from .as_json import detail_json, job_json
from .as_text import detail_lines, list_lines
from .opening import operators_ledger
from .retrying import RetryReport, retry_all_failed, retry_jobs
from .views import JobDetail, JobView, job_detail, newest_views

_Answer = TypeVar("_Answer")


def show_jobs(
    output: Output, env_file: Path, states: Sequence[JobState], limit: int
) -> list[JobView]:
    """Prints the newest jobs, of any state when none is named.

    Raises:
        SettingsError, OperatingError, LedgerError
    """
    views = _with_jobs(
        output,
        env_file,
        lambda jobs: newest_views(jobs, clock_ms(), limit, frozenset(states) or None),
    )
    if output.as_json:
        output.json("done", jobs=[job_json(view) for view in views])
    _print(output, list_lines(views))
    return views


def show_job(output: Output, env_file: Path, job_id: str) -> JobDetail:
    """Prints everything about a job.

    Raises:
        SettingsError, OperatingError, LedgerError
        JobUnknown
    """
    detail = _with_jobs(output, env_file, lambda jobs: job_detail(jobs, clock_ms(), job_id))
    if output.as_json:
        output.json("done", **detail_json(detail))
    _print(output, detail_lines(detail))
    return detail


def retry(output: Output, env_file: Path, job_ids: Sequence[str], all_failed: bool) -> RetryReport:
    """Has failed jobs tried again, and prints which.

    Raises:
        BadInput, SettingsError, OperatingError, LedgerError
        JobUnknown, TransitionRefused: when one job was named and that is refused.
        typer.Exit: when some of several are refused, with the status of their error.
    """
    if bool(job_ids) == all_failed:
        raise BadInput("which jobs to try again?", expected="ids of jobs, or --all-failed")
    report = _with_jobs(
        output,
        env_file,
        lambda jobs: retry_all_failed(jobs) if all_failed else retry_jobs(jobs, job_ids),
    )
    if report.refused and not report.retried and len(report.refused) == 1:
        raise report.refused[0].error
    _show_retried(output, report)
    if report.refused:
        raise typer.Exit(max(refused.error.exit_status for refused in report.refused))
    return report


def _show_retried(output: Output, report: RetryReport) -> None:
    if output.as_json:
        output.json(
            "failed" if report.refused else "done",
            retried=[{"id": job.id, "state": job.state.value} for job in report.retried],
            refused=[
                {"id": refused.job_id, "error": refused.error.to_json()}
                for refused in report.refused
            ],
            more=report.more,
        )
        return
    lines = [f"{job.id} again {job.state.value}" for job in report.retried]
    lines += [f"{refused.job_id} refused: {refused.error}" for refused in report.refused]
    _print(output, lines or ["no job has failed"])
    if report.more:
        output.line("[yellow]more had failed[/]: run the command again")


def _with_jobs(
    output: Output, env_file: Path, ask: Callable[[Jobs], Awaitable[_Answer]]
) -> _Answer:
    async def run() -> _Answer:
        async with operators_ledger(output, env_file) as ledger:
            return await ask(ledger.jobs)

    return asyncio.run(run())


def _print(output: Output, lines: Sequence[str]) -> None:
    for line in lines:
        output.line(escape(line))
