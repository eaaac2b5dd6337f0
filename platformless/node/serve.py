"""`fabstir-llm-node serve`: runs the node's server until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..chain.networks import Network
from ..console import Output, facts, stop_requested
from .logs import end_logged, set_up_logging
from .running import Node
from .settings import NodeSettings, load_settings


def serve_sessions(output: Output, env_file: Path) -> None:
    """Loads the settings, starts the node, shows where it is, and stays.

    Raises:
        SettingsError, ModelError, ChainError, LedgerError: when it cannot be started.
    """
    settings, network = load_settings(env_file=env_file)
    set_up_logging(settings)
    with end_logged(settings):
        asyncio.run(_run(output, settings, network))


async def _run(output: Output, settings: NodeSettings, network: Network) -> None:
    stopping = stop_requested()
    async with Node(settings, network) as node:
        report = node.report
        rows = {
            "url": report.url,
            "host": str(report.address),
            "chain": f"{network.name} ({network.chain_id})",
            "models": ", ".join(model.name for model in report.models),
        }
        if output.as_json:
            output.json("running", node=rows)
        else:
            table = facts()
            for name, value in rows.items():
                table.add_row(name, value)
            output.console.print(table)
            output.line("[green]running[/]; stop with Ctrl-C")
        await stopping.wait()
