"""The commands of a host's registration: thin skins over library calls, which are imported when
needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import AsJson, Output, guarded
from ..options import PROGRAM, EnvFile

ChainId = Annotated[int | None, typer.Option("--chain", help="Id of the chain, such as 84532.")]
AllChains = Annotated[bool, typer.Option("--all-chains", help="Every chain that is known.")]
Models = typer.Option(
    "--models", help="Ids or OWNER/NAME/FILE.gguf of ModelRegistry, with commas between."
)
ApiUrlOption = typer.Option("--api-url", help="Where clients reach the node.")
NameOption = typer.Option("--name", help="What the host is called.")
TierOption = typer.Option("--performance-tier", help="A word for clients, such as standard.")
Location = Annotated[
    str | None, typer.Option("--location", help="Where the host is, such as eu-west.")
]
MaxConcurrent = Annotated[
    int | None, typer.Option("--max-concurrent", help="Answers at once; shown to clients.")
]
PriceUsdc = Annotated[
    list[str] | None,
    typer.Option(
        "--price-usdc",
        help="USDC per million tokens; MODEL=PRICE for one model. Several times for several. "
        "New models: 10.",
    ),
]
PriceEth = Annotated[
    list[str] | None,
    typer.Option(
        "--price-eth",
        help="ETH per million tokens, in the same way. New models: 0.002272727273.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be sent and what it costs; send nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Send without asking.")]


def register_node(
    name: Annotated[str, NameOption],
    api_url: Annotated[str, ApiUrlOption],
    models: Annotated[str, Models],
    chain: ChainId = None,
    all_chains: AllChains = False,
    performance_tier: Annotated[str, TierOption] = "standard",
    price_usdc: PriceUsdc = None,
    price_eth: PriceEth = None,
    location: Location = None,
    max_concurrent: MaxConcurrent = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Register the host: stake, address, models, prices. Goes on where it was interrupted."""

    def run(output: Output) -> None:
        from .changing import ChangeOptions, RegistrationOptions, register_node

        options = ChangeOptions(chain, all_chains, dry_run, yes, env_file)
        asked = RegistrationOptions(
            name=name,
            api_url=api_url,
            models=models,
            performance_tier=performance_tier,
            location=location,
            max_concurrent=max_concurrent,
            usdc=tuple(price_usdc or ()),
            eth=tuple(price_eth or ()),
        )
        _end(register_node(output, options, asked))

    guarded(PROGRAM, "register-node", as_json, run)


def registration_status(
    chain: ChainId = None,
    all_chains: AllChains = False,
    address: Annotated[
        str | None, typer.Option("--address", help="Another host's; needs no key.")
    ] = None,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Print how the host is registered. Exit status 1: it is not."""

    def run(output: Output) -> None:
        from .looking import StatusOptions, show_status

        _end(show_status(output, StatusOptions(chain, all_chains, address, env_file)))

    guarded(PROGRAM, "registration-status", as_json, run)


def update_registration(
    chain: ChainId = None,
    all_chains: AllChains = False,
    name: Annotated[str | None, NameOption] = None,
    api_url: Annotated[str | None, ApiUrlOption] = None,
    models: Annotated[str | None, Models] = None,
    performance_tier: Annotated[str | None, TierOption] = None,
    price_usdc: PriceUsdc = None,
    price_eth: PriceEth = None,
    location: Location = None,
    max_concurrent: MaxConcurrent = None,
    hardware: Annotated[
        bool, typer.Option("--hardware", help="Describe this machine and this version anew.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Change what is registered: only what differs is sent."""

    def run(output: Output) -> None:
        from .changing import ChangeOptions, RegistrationOptions, update_registration

        options = ChangeOptions(chain, all_chains, dry_run, yes, env_file)
        asked = RegistrationOptions(
            name=name,
            api_url=api_url,
            models=models,
            performance_tier=performance_tier,
            location=location,
            max_concurrent=max_concurrent,
            usdc=tuple(price_usdc or ()),
            eth=tuple(price_eth or ()),
            describe_machine=hardware,
        )
        _end(update_registration(output, options, asked))

    guarded(PROGRAM, "update-registration", as_json, run)


def unregister_node(
    chain: ChainId = None,
    all_chains: AllChains = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """End the registration: the stake comes back at once."""

    def run(output: Output) -> None:
        from .changing import ChangeOptions, unregister_node

        _end(unregister_node(output, ChangeOptions(chain, all_chains, dry_run, yes, env_file)))

    guarded(PROGRAM, "unregister-node", as_json, run)


def _end(status: int) -> None:
    """Ends the command; what there is to say was said."""
    if status:
        raise typer.Exit(status)
