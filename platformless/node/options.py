"""What the commands of `fabstir-llm-node` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PROGRAM = "fabstir-llm-node"
"""Names the command, and the format of its JSON."""
EnvFile = Annotated[Path, typer.Option("--env-file", help="Settings besides the environment's.")]
