"""The command `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import AsJson, Output, guarded
from ..options import EnvFile


def doctor(
    write: Annotated[
        bool, typer.Option("--write", help="Also store a small blob at every portal.")
    ] = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Check everything that a node needs; change nothing. Exit status 1: something is wrong."""

    def run(output: Output) -> None:
        from .command import show_examination

        show_examination(output, env_file, write)

    guarded("doctor", "doctor", as_json, run)
