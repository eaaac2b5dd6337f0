"""The commands of an operator: thin skins over library calls, which are imported when needed."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from ...console import AsJson, Output, guarded
from ..options import PROGRAM, EnvFile


class StateName(enum.Enum):
    """The states of jobs, by which a list is filtered."""

    # Spelled out: the ledger and its database are not to be loaded for `--help`. A test compares.
    RECORDED = "recorded"
    PROVING = "proving"
    PROVEN = "proven"
    PUBLISHED = "published"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class TokenName(enum.Enum):
    """What earnings are in."""

    USDC = "usdc"
    ETH = "eth"
    ALL = "all"


jobs = typer.Typer(help="Checkpoints and settlements on their way to the chain.")


@jobs.callback(invoke_without_command=True)
def list_jobs(
    context: typer.Context,
    state: Annotated[
        list[StateName] | None, typer.Option("--state", help="Only these; several times.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many, the newest.")] = 50,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    if context.invoked_subcommand is not None:
        return

    def run(output: Output) -> None:
        from ...prover.ledger.job_states import JobState
        from .listing import show_jobs

        states = [JobState(name.value) for name in state or ()]
        show_jobs(output, env_file, states, limit)

    guarded(PROGRAM, "jobs", as_json, run)


@jobs.command("show")
def show(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Print everything about a job: attempts, proof, publication, transaction."""

    def run(output: Output) -> None:
        from .listing import show_job

        show_job(output, env_file, job_id)

    guarded(PROGRAM, "jobs show", as_json, run)


@jobs.command("retry")
def retry(
    job_ids: Annotated[list[str] | None, typer.Argument(metavar="ID...")] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every failed job.")] = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Have failed jobs tried again, from where they failed."""

    def run(output: Output) -> None:
        from .listing import retry

        retry(output, env_file, job_ids or [], all_failed)

    guarded(PROGRAM, "jobs retry", as_json, run)


@jobs.command("watch")
def watch(
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when no job is open.")
    ] = False,
    env_file: EnvFile = Path(".env"),
) -> None:
    """Show the jobs as they go on, until interrupted; on a pipe, a line for each change."""

    def run(output: Output) -> None:
        from .watching import watch_jobs

        watch_jobs(output, env_file, until_idle)

    guarded(PROGRAM, "jobs watch", False, run)


def withdraw_earnings(
    token: Annotated[TokenName, typer.Option(help="Which earnings.")] = TokenName.ALL,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be withdrawn; send nothing.")
    ] = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Have what settled sessions earned paid out to the host's account."""

    def run(output: Output) -> None:
        from .earnings import WithdrawalRequest, show_withdrawal

        show_withdrawal(output, env_file, WithdrawalRequest(token.value, dry_run))

    guarded(PROGRAM, "withdraw-earnings", as_json, run)
