"""`prove-session recover`: a conversation from chain and storage, without its host."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console import AsJson, Output, guarded, harmless, plain, write_file
from ..chain_options import (
    DEFAULT_NETWORK,
    ChainOptions,
    EnvFile,
    MarketplaceAddress,
    NetworkName,
    RpcUrls,
)
from .options import KeyFile, PortalUrls, opened, read_key

if TYPE_CHECKING:
    from ...audit.recovery import RecoveredSession

_INCOMPLETE = 1


def recover(
    session: Annotated[int, typer.Argument(min=1, help="Session id, the job id on chain.")],
    portal: PortalUrls,
    network: NetworkName = DEFAULT_NETWORK,
    env_file: EnvFile = None,
    rpc_url: RpcUrls = None,
    marketplace: MarketplaceAddress = None,
    key_file: KeyFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write conversation and findings as JSON here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild a conversation from chain and storage; every hash and signature is checked.

    Exit status 1 when a checkpoint could not be recovered, or is not bound to its proof.
    """

    def run(output: Output) -> None:
        # Here, not above: the commands that need no chain start quicker.
        from ...audit.recovery import recover_session

        options = ChainOptions(network, env_file, tuple(rpc_url or ()), marketplace)
        private_key = read_key(key_file)

        async def recovering() -> RecoveredSession:
            async with opened(options, portal) as (chain, storage):
                return await recover_session(chain, storage, session, private_key)

        found = asyncio.run(recovering())
        document = found.to_json()
        if out is not None:
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            write_file(out, text.encode(), mode=0o600)  # what was sealed
        outcome = "recovered" if found.complete else "incomplete"
        if as_json:
            output.json(outcome, recovery=document)
        else:
            show(output, found)
        if not found.complete:
            raise typer.Exit(_INCOMPLETE)

    guarded("prove-session", "recover", as_json, run)


def show(output: Output, found: RecoveredSession) -> None:
    """The conversation, then what is known of each checkpoint."""
    for message in found.conversation:
        output.console.print(f"[bold]{message.role}[/]")
        output.console.print(harmless(message.content), markup=False, emoji=False)
        output.line("")
    for item in found.checkpoints:
        place = item.place
        tokens = f"tokens {place.tokens_before:,} to {place.tokens_after:,}"
        if item.delta is not None and item.proof is not None:
            said = f"[green]recovered[/], bound to proof {place.proof_hash}"
        else:
            problem = plain(item.problem or item.proof_problem)
            kind = "recovered, but not bound to a proof" if item.delta else "not recovered"
            said = f"[red]{kind}[/]: {problem}"
        output.line(f"checkpoint {place.number}, {tokens}: {said}")
    counted = sum(item.place.tokens for item in found.checkpoints)
    if counted != found.session.tokens_proven:
        output.line(
            f"[red]incomplete[/]: the contract counts {found.session.tokens_proven:,} tokens, "
            f"{counted:,} were shown"
        )
