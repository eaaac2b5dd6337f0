"""`fabstir-llm-node serve`: runs the node's server until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..chain.networks import Network
from ..console import Output, stop_requested
from .logs import end_logged, set_up_logging
from .reading_settings import load_settings
from .running import Node
from .settings import NodeSettings


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
        output.running("node", rows)
        await stopping.wait()
