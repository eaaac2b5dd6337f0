"""The commit that this program was built from: the one place that says so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

VARIABLE = "PLATFORMLESS_BUILD"
RECORD = "recorded_commit"
"""A file of this name in the package holds what a build recorded."""
UNKNOWN = "unknown"
_GIT_SECONDS = 5
_PACKAGE = Path(__file__).parent


@cache
def commit() -> str:
    """The commit, "unknown" when nothing tells it. A checkout that differs from its commit has
    `-dirty` behind it."""
    return commit_of(_PACKAGE, os.environ)


def commit_of(package: Path, environment: Mapping[str, str]) -> str:
    """What the environment says; else git, when the package lies in a checkout of its own; else
    what was recorded when the package was built."""
    said = environment.get(VARIABLE, "").strip()
    if said and said != UNKNOWN:
        return said
    return _of_checkout(package.parent) or _recorded(package) or UNKNOWN


def _of_checkout(root: Path) -> str:
    if not (root / ".git").exists():  # an installed package is not the checkout around it
        return ""
    describe = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        told = subprocess.run(  # noqa: S603
            ("git", "--no-optional-locks", "-C", str(root), *describe),  # noqa: S607
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()


def _recorded(package: Path) -> str:
    try:
        return (package / RECORD).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
