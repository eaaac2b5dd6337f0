"""The commands `p2p` and `peers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import AsJson, Output, guarded
from ..options import PROGRAM, EnvFile


def p2p(env_file: EnvFile = Path(".env"), as_json: AsJson = False) -> None:
    """Take part in the DHT: announce the node's models, answer who looks for one."""

    def run(output: Output) -> None:
        from .command import run_part

        run_part(output, env_file)

    guarded(PROGRAM, "p2p", as_json, run)


def peers(
    model: Annotated[str, typer.Option("--model", metavar="ID", help="32 bytes in hex.")],
    bootstrap: Annotated[
        list[str] | None,
        typer.Option("--bootstrap", metavar="MULTIADDR", help="Asked first; several times."),
    ] = None,
    chain: Annotated[
        bool, typer.Option("--chain/--no-chain", help="Whether NodeRegistry must confirm a node.")
    ] = True,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Find the nodes that serve a model."""

    def run(output: Output) -> None:
        from .addresses import parsed_list
        from .command import PeersRequest, model_of, show_peers

        addresses = parsed_list(",".join(bootstrap or ()))
        show_peers(output, env_file, PeersRequest(model_of(model), addresses, chain))

    guarded(PROGRAM, "peers", as_json, run)
