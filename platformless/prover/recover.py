"""`prove-session recover`: a conversation from chain and storage, without its host."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import AsJson, BadInput, Output, guarded, harmless, plain, read_file, write_file
from .chain_options import DEFAULT_NETWORK, ChainOptions, EnvFile, NetworkName, RpcUrls

if TYPE_CHECKING:
    from ..audit.recovery import RecoveredSession

KEY_VARIABLE = "RECOVERY_PRIVATE_KEY"
_KEY_BYTES = 32
_INCOMPLETE = 1


def recover(
    session: Annotated[int, typer.Argument(min=1, help="Session id, the job id on chain.")],
    portal: Annotated[
        list[str],
        typer.Option(
            "--portal", envvar="S5_PORTAL_URL", help="S5 portal; may be given several times."
        ),
    ],
    network: NetworkName = DEFAULT_NETWORK,
    env_file: EnvFile = None,
    rpc_url: RpcUrls = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            help=f"File with the recovery key's private key in hex; default: ${KEY_VARIABLE}.",
        ),
    ] = None,
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
        from ..audit.recovery import recover_session
        from ..chain.connection import Chain
        from ..storage.client import ClientSettings, PortalClient
        from ..storage.portals import Portals

        chosen = ChainOptions(network, env_file, tuple(rpc_url or ())).resolve()
        private_key = read_key(key_file)

        async def recovering() -> RecoveredSession:
            clients = [PortalClient(ClientSettings(url)) for url in portal]
            async with Chain(chosen) as chain, Portals(clients) as portals:
                return await recover_session(chain, portals, session, private_key)

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


def read_key(key_file: Path | None) -> bytes | None:
    """The private key of a file, or of the environment; None when there is none.

    Raises:
        BadInput: when it is not 32 bytes in hex. The key is not shown.
    """
    if key_file is not None:
        text, source = read_file(key_file).decode("ascii", "replace"), str(key_file)
    else:
        text, source = os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE
        if not text:
            return None
    try:
        key = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadInput(f"{source} holds no private key", expected=f"{_KEY_BYTES} bytes in hex")
    return key
