"""`fabstir-llm-node registration-status`: what is registered, on one chain or on all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...chain.networks import Network
from ...console import Output, plain
from ...errors import PlatformlessError
from ...protocol.digests import Address
from ...protocol.errors import ProtocolError
from ..reading_settings import load_settings, load_worker_settings
from .as_json import status_json
from .as_text import status_lines
from .chains import chosen
from .errors import DetailRefused, NotRegistered
from .operator import operator_of
from .status import ChainStatus, read_status


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """What was asked for on the command line."""

    chain_id: int | None = None
    all_chains: bool = False
    address: str | None = None
    """Any account's; the settings' host when None."""
    env_file: Path = Path(".env")


def show_status(output: Output, options: StatusOptions) -> int:
    """Prints registrations; returns the exit status: 1 where the host is not registered, 3 where
    a chain cannot be asked.

    Raises:
        SettingsError, HostKeyError, InputRefused: before any chain is asked.
    """
    account, configured = _whose(options)
    networks = chosen(options.chain_id, options.all_chains, configured)
    worst: PlatformlessError | None = None
    chains: list[dict[str, Any]] = []
    for network in networks:
        status: ChainStatus | None = None
        failed: PlatformlessError | None = None
        try:
            status = asyncio.run(read_status(network, account))
            for line in status_lines(status):
                output.line(plain(line))
            _require_registered(status)
        except PlatformlessError as error:
            failed = error
            if worst is None or error.exit_status > worst.exit_status:
                worst = error
            if not output.as_json:
                output.error(error)
        outcome = "done" if failed is None else failed.outcome
        chains.append(status_json(network, account, outcome, status, failed))
    if output.as_json:
        output.json("done" if worst is None else worst.outcome, chains=chains)
    return 0 if worst is None else worst.exit_status


def _require_registered(status: ChainStatus) -> None:
    if status.host is None:
        raise NotRegistered(f"{status.account} is not registered on chain {status.chain_id}")


def _whose(options: StatusOptions) -> tuple[Address, Network]:
    """Another's registration is looked at without a key."""
    if options.address is None:
        settings, network = load_settings(env_file=options.env_file)
        return operator_of(settings).address, network
    _, network = load_worker_settings(env_file=options.env_file)
    try:
        return Address.from_hex(options.address), network
    except ProtocolError as error:
        raise DetailRefused(error.message, expected=error.expected, got=error.got) from error
