"""`fabstir-llm-node` without a subcommand, as tests kill it: with the chain's relay as one more
service, a prover that may be the stand-in, and no end to its patience with services that die.

`python -m tests.pipeline.whole_node RELAY_PORT CHAIN_PORT [stand-in]`
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import typer

from platformless.console import Output, guarded
from platformless.node.settings import NodeSettings
from platformless.node.supervisor import run
from platformless.node.supervisor.plan import Plan, Surroundings, plan
from platformless.node.supervisor.service import LineBeginning, Patience, Service
from platformless.node.supervisor.supervisor import Supervisor
from platformless.retrying import Backoff

from . import relay

_PATIENCE = Patience(deaths=1_000_000, backoff=Backoff(0.05, 0.4))


def changed_plan(
    relay_words: Sequence[str], stand_in: bool
) -> Callable[[NodeSettings, Surroundings, int], Plan]:
    """`plan`, with the relay first, and with the stand-in if that is wanted."""

    def planned(settings: NodeSettings, around: Surroundings, provers: int = 1) -> Plan:
        found = plan(settings, around, provers)
        rpc = Service(
            "rpc",
            (sys.executable, "-m", "tests.pipeline.relay", *relay_words),
            around.environment,
            LineBeginning(relay.READY),
        )
        services = [_with_stand_in(one) if stand_in else one for one in found.services]
        return replace(found, services=(rpc, *services))

    return planned


def _with_stand_in(service: Service) -> Service:
    if service.name != "prover":
        return service
    return replace(service, command=(sys.executable, "-m", "tests.pipeline.stand_in_worker"))


def main(words: Sequence[str]) -> None:
    planned = changed_plan(words[:2], "stand-in" in words[2:])
    patient = partial(Supervisor, patience=_PATIENCE)
    with patch.object(run, "plan", planned), patch.object(run, "Supervisor", patient):
        try:
            guarded("fabstir-llm-node", "run", True, _run)
        except typer.Exit as end:
            sys.exit(end.exit_code)


def _run(output: Output) -> None:
    run.run_node(output, Path("/dev/null"))


if __name__ == "__main__":
    main(sys.argv[1:])
