"""Linters that tests run: a missing one is a failure that says how to get it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint(name: str, advice: str, *words: str | Path) -> str:
    """Runs a program, found beside this Python or on the search path; what it says when it
    complains, "" when it does not."""
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which(name)
    if program is None:
        pytest.fail(f"{name} is missing: {advice}")
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=120, check=False
    )
    told = done.stdout + done.stderr
    return told or f"exit status {done.returncode}" if done.returncode else ""
