"""`prove-session model`: what a model file is called in sessions and in proofs of sampled cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...audit.model_file import identify_model
from ...console import AsJson, BadInput, Output, facts, guarded, plain

_NOT_TRACEABLE = 1


def model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model's GGUF file.")],
    as_json: AsJson = False,
) -> None:
    """Print hash, weights root and facts of a model: what `--trust-model` and policies take.

    Exit status 1 when the model cannot be traced, and so has no facts.
    """

    def run(output: Output) -> None:
        if not file.is_file():
            raise BadInput(f"cannot read {file}", expected="a GGUF file")
        found = identify_model(file)
        if as_json:
            output.json("traceable" if found.facts else "not traceable", model=found.to_json())
        else:
            table = facts()
            table.add_row("SHA-256", "0x" + found.sha256.hex())
            table.add_row("bytes", f"{found.file_bytes:,}")
            table.add_row("weights root", str(found.weights_root))
            table.add_row("model facts", str(found.facts) if found.facts else "none")
            output.console.print(table)
            if found.problem is not None:
                output.line(f"[yellow]cannot be traced[/]: {plain(found.problem)}")
            else:
                output.line(f"--trust-model {found.weights_root}={found.facts}")
        if found.facts is None:
            raise typer.Exit(_NOT_TRACEABLE)

    guarded("prove-session", "model", as_json, run)
