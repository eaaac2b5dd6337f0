"""The command `doctor`: prints a report and ends with its status."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import typer

from ...console import Output
from .examining import examine
from .shared import Options

FORMAT = "doctor"
"""Names the JSON, `doctor/1`."""


def show_examination(output: Output, env_file: Path, write: bool) -> None:
    """Raises:
    typer.Exit: with 1 when something must be corrected.
    """
    report = asyncio.run(examine(dict(os.environ), Options(env_file, write)))
    if output.as_json:
        output.json(report.outcome, **report.to_json())
    else:
        for line in report.lines():
            output.line(line)
    if report.exit_status:
        raise typer.Exit(report.exit_status)
