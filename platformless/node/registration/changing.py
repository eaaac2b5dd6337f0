"""The commands that change registrations: on one chain after another, asked for and shown.

A chain that fails does not keep the others from their turn; the exit status is the worst.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from ... import __version__
from ...chain.money import NATIVE
from ...chain.networks import BASE_SEPOLIA, Network
from ...console import Output, plain
from ...errors import PlatformlessError
from ...protocol.secrecy import PublicKeyBytes
from ..reading_settings import load_settings
from ..settings import NodeSettings
from .api_url import read_api_url
from .as_json import change_json
from .as_text import plan_lines, sent_lines, status_lines
from .asked import read_details, read_models, read_prices, require_own_models
from .carrying_out import Prepared, Sent, carry_out, prepare
from .chains import chosen, connected
from .errors import ConfirmationNeeded, Declined, NothingAsked
from .hardware import find_hardware
from .leaving import open_matters
from .metadata import Machine
from .operator import Operator, operator_of
from .plan import Asked, Leaving, Registration, Update
from .served_file import ServedFile, served_file
from .status import read_status

DONE, PLANNED = "done", "planned"


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """What all commands that send have in common."""

    chain_id: int | None = None
    all_chains: bool = False
    dry_run: bool = False
    yes: bool = False
    env_file: Path = Path(".env")


@dataclass(frozen=True, slots=True)
class RegistrationOptions:
    """What a registration is made of, as on the command line. None: not named."""

    name: str | None = None
    api_url: str | None = None
    models: str | None = None
    performance_tier: str | None = None
    location: str | None = None
    max_concurrent: int | None = None
    usdc: tuple[str, ...] = field(default=())
    eth: tuple[str, ...] = field(default=())
    describe_machine: bool = False


def register_node(output: Output, options: ChangeOptions, asked: RegistrationOptions) -> int:
    """Registers the host of the settings; returns the exit status.

    Raises:
        SettingsError, HostKeyError, InputRefused: before any chain is asked.
    """
    settings, networks, operator = _opened(output, options)
    registration = registration_of(asked, settings, operator.key.public_key)
    return _change(output, options, operator, networks, lambda _: registration)


def update_registration(output: Output, options: ChangeOptions, asked: RegistrationOptions) -> int:
    """Changes what differs from what was asked; returns the exit status.

    Raises:
        SettingsError, HostKeyError, InputRefused: before any chain is asked.
    """
    if asked == RegistrationOptions():
        raise NothingAsked("nothing to update was named")
    settings, networks, operator = _opened(output, options)
    update = update_of(asked, settings, operator.key.public_key)
    return _change(output, options, operator, networks, lambda _: update)


def unregister_node(output: Output, options: ChangeOptions) -> int:
    """Ends the registration; returns the exit status.

    Raises:
        SettingsError, HostKeyError, InputRefused: before any chain is asked.
    """
    settings, networks, operator = _opened(output, options)

    async def leaving(network: Network) -> Leaving:
        async with connected(network) as chain:
            matters = await open_matters(chain, operator.address, settings)
        return Leaving(matters.warnings())

    return _change(
        output, options, operator, networks, lambda network: asyncio.run(leaving(network))
    )


def registration_of(
    asked: RegistrationOptions, settings: NodeSettings, key: PublicKeyBytes
) -> Registration:
    """Raises:
    InputRefused
    """
    at_once = asked.max_concurrent
    if at_once is None:
        at_once = settings.engine_sequences
    details = read_details(asked.name or "", asked.performance_tier, asked.location, at_once)
    api_url, models = read_api_url(asked.api_url or ""), read_models(asked.models or "")
    usdc, eth = read_prices(asked.usdc, BASE_SEPOLIA.usdc), read_prices(asked.eth, NATIVE)
    for prices in (usdc, eth):
        require_own_models(prices, [model.id for model in models])
    return Registration(
        details=details,
        api_url=api_url,
        models=models,
        usdc=usdc,
        eth=eth,
        machine=_machine(key),
        served=served_file(settings.model_path),
    )


def update_of(asked: RegistrationOptions, settings: NodeSettings, key: PublicKeyBytes) -> Update:
    """Raises:
    InputRefused
    """
    details = read_details(asked.name, asked.performance_tier, asked.location, asked.max_concurrent)
    api_url = None if asked.api_url is None else read_api_url(asked.api_url)
    models = None if asked.models is None else read_models(asked.models)
    usdc, eth = read_prices(asked.usdc, BASE_SEPOLIA.usdc), read_prices(asked.eth, NATIVE)
    return Update(
        details=details,
        key=key,
        api_url=api_url,
        models=models,
        usdc=usdc,
        eth=eth,
        machine=_machine(key) if asked.describe_machine else None,
        served=ServedFile() if models is None else served_file(settings.model_path),
    )


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _machine(key: PublicKeyBytes) -> Machine:
    return Machine(__version__, find_hardware(), key)


def _opened(
    output: Output, options: ChangeOptions
) -> tuple[NodeSettings, tuple[Network, ...], Operator]:
    if not options.dry_run and not options.yes and (output.as_json or not is_terminal()):
        raise ConfirmationNeeded(
            "nobody can be asked whether to send",
            expected="a terminal, --yes or --dry-run",
            got="--json" if output.as_json else "no terminal",
        )
    settings, configured = load_settings(env_file=options.env_file)
    networks = chosen(options.chain_id, options.all_chains, configured)
    return settings, networks, operator_of(settings)


def _change(
    output: Output,
    options: ChangeOptions,
    operator: Operator,
    networks: tuple[Network, ...],
    ask: Callable[[Network], Asked],
) -> int:
    """One chain after another; returns the worst exit status."""
    worst: PlatformlessError | None = None
    chains: list[dict[str, Any]] = []
    for network in networks:
        prepared: Prepared | None = None
        sent: tuple[Sent, ...] = ()
        failed: PlatformlessError | None = None
        outcome = PLANNED if options.dry_run else DONE
        try:
            asked = ask(network)
            prepared = asyncio.run(prepare(operator, network, asked, dry_run=options.dry_run))
            _say(output, plan_lines(prepared))
            if not options.dry_run:
                _require_consent(prepared, options)
                sent = asyncio.run(carry_out(operator, network, asked, prepared.plan))
                _say(output, sent_lines(sent))
        except PlatformlessError as error:
            failed, outcome = error, error.outcome
            if worst is None or error.exit_status > worst.exit_status:
                worst = error
            if not output.as_json:
                _say(output, [f"chain {network.chain_id}:"] if len(networks) > 1 else [])
                output.error(error)
        chains.append(change_json(network, operator.address, outcome, prepared, sent, failed))
        if failed is None and not output.as_json:
            _say_end(output, options, operator, network)
    if output.as_json:
        outcome = DONE if worst is None else worst.outcome
        output.json(outcome, dry_run=options.dry_run, chains=chains)
    return 0 if worst is None else worst.exit_status


def _require_consent(prepared: Prepared, options: ChangeOptions) -> None:
    count = len(prepared.plan.steps)
    if options.yes or not count:
        return
    what = "this transaction" if count == 1 else f"these {count} transactions"
    try:
        agreed = typer.confirm(f"Send {what}?", default=False)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise Declined("nothing was sent", expected="yes", got="no")


def _say_end(output: Output, options: ChangeOptions, operator: Operator, network: Network) -> None:
    """How the account is registered now; a chain that does not tell changes nothing."""
    if options.dry_run:
        _say(output, ["  nothing was sent: a dry run"])
        return
    try:
        status = asyncio.run(read_status(network, operator.address))
    except PlatformlessError as error:
        _say(output, [f"  done; how it is registered now cannot be read: {error}"])
        return
    left = f"✅ Node no longer registered on chain {network.chain_id}"
    _say(output, status_lines(status) if status.host else [left])


def _say(output: Output, lines: list[str]) -> None:
    for line in lines:
        output.line(plain(line))
