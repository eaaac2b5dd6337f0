"""The commands about the host's key: thin skins over library calls, imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import AsJson, BadInput, Output, guarded
from ..options import PROGRAM, EnvFile

Out = Annotated[Path, typer.Option("--out", help="The keystore, a new file.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="Else HOST_KEYSTORE_PASSWORD, or it is asked for."),
]

key = typer.Typer(no_args_is_help=True, help="The host's key.")


@key.command("address")
def address(env_file: EnvFile = Path(".env"), as_json: AsJson = False) -> None:
    """Print the host's account and its public key."""

    def run(output: Output) -> None:
        from .commands import show_address

        show_address(output, env_file)

    guarded(PROGRAM, "key address", as_json, run)


@key.command("import")
def import_key(
    out: Out,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="The key in hex; else standard input.")
    ] = None,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a private key into an encrypted keystore."""

    def run(output: Output) -> None:
        from . import commands

        commands.import_key(output, key_file, out, password_file)

    guarded(PROGRAM, "key import", as_json, run)


@key.command("export-keystore")
def export_keystore(
    out: Out,
    password_file: PasswordFile = None,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Write the host's own key into an encrypted keystore."""

    def run(output: Output) -> None:
        from . import commands

        commands.export_keystore(output, env_file, out, password_file)

    guarded(PROGRAM, "key export-keystore", as_json, run)


def signer(
    socket: Annotated[
        Path | None, typer.Option("--socket", help="A socket file that only this user may open.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Or a port; needs a token.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Of this machine.")] = "127.0.0.1",
    fee_cap_gwei: Annotated[
        float, typer.Option("--fee-cap-gwei", min=0.001, help="Most that is offered a gas.")
    ] = 50.0,
    cost_cap_eth: Annotated[
        float, typer.Option("--cost-cap-eth", min=0.000001, help="Most that one may cost.")
    ] = 0.1,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Hold the host's key for a node elsewhere, and sign what its marketplace needs."""

    def run(output: Output) -> None:
        if (socket is None) == (port is None):
            raise BadInput("the signer listens in one place", expected="--socket or --port")
        from .policy import ETHER, GWEI, FeeCaps
        from .signer import SignerRequest, run_signer

        caps = FeeCaps(round(fee_cap_gwei * GWEI), round(cost_cap_eth * ETHER))
        run_signer(output, env_file, SignerRequest(socket, host, port, caps))

    guarded(PROGRAM, "signer", as_json, run)
