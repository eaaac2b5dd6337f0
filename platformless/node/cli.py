"""The command `fabstir-llm-node`: a thin skin over library calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import AsJson, Output, guarded

_PROGRAM = "fabstir-llm-node"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run a host of the marketplace.",
)


@app.callback()
def _root() -> None:
    """Keeps commands as commands while there is only one."""


@app.command("dev-chain")
def dev_chain(
    port: Annotated[int, typer.Option(min=0, max=65535, help="RPC port; 0: a free one.")] = 8545,
    block_seconds: Annotated[
        float, typer.Option(min=0.1, help="A block comes this often, and for each transaction.")
    ] = 1.0,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Write the .env to this file as well.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a local chain with the marketplace on it, until it is interrupted."""

    def run(output: Output) -> None:
        # Here, not above: other commands need no chain.
        from .dev_chain import DevChainRequest, run_dev_chain

        run_dev_chain(output, DevChainRequest(port, block_seconds, env_file))

    guarded(_PROGRAM, "dev-chain", as_json, run)


def main() -> None:
    """Entry point of the console script."""
    app()
