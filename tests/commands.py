"""The commands of `fabstir-llm-node` in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from unittest.mock import patch

import typer.main
import typer.testing
from typer.testing import CliRunner, Result

from platformless.node.cli import app

_made = cache(partial(typer.main.get_command, app))
"""Every command with its options. Typer makes them anew, in 50 ms, each time that one is run."""


def invoke(arguments: Sequence[str], answer: str | None = None) -> Result:
    """Runs a command.

    Args:
        answer: What is typed when it asks.
    """
    with patch.object(typer.testing, "_get_command", lambda _: _made()):
        return CliRunner().invoke(app, arguments, input=answer)
