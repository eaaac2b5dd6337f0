"""The commands of backups: thin skins over library calls, which are imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ...console import AsJson, Output, guarded
from ..options import PROGRAM, EnvFile

PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Of the ledger's key; else BACKUP_PASSPHRASE."),
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="The ledger's key; else LEDGER_KEY, or sealed.")
]


class _MakeUnlessNamed(TyperGroup):
    """`backup OUT` is `backup make OUT`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            args = ["make", *args]
        return super().resolve_command(ctx, args)


backup = typer.Typer(
    cls=_MakeUnlessNamed,
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help="Back up what a node keeps, while it runs: `backup OUT`, or `backup verify FILE`.",
)


@backup.command("make")
def make(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new file, or a folder.")],
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Seal the ledger's key into it by a passphrase.")
    ] = False,
    with_blobs: Annotated[
        bool, typer.Option("--with-blobs", help="Also what the embedded portal keeps.")
    ] = False,
    every: Annotated[
        float | None, typer.Option("--every", min=0.1, help="Again after so many seconds.")
    ] = None,
    keep: Annotated[
        int, typer.Option("--keep", min=1, help="With --every: the newest so many stay.")
    ] = 24,
    passphrase_file: PassphraseFile = None,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Write ledger, publication and outbox into an archive, and read it back."""

    def run(output: Output) -> None:
        from .commands import passphrase_from, rounds_of, show_backup
        from .making import BackupRequest

        passphrase = passphrase_from(passphrase_file, needed=with_key)
        request = BackupRequest(with_blobs, with_key, passphrase)
        show_backup(output, env_file, out, request, rounds_of(every, keep, out))

    guarded(PROGRAM, "backup", as_json, run)


@backup.command("verify")
def verify(
    archive: Annotated[Path, typer.Argument(metavar="FILE")], as_json: AsJson = False
) -> None:
    """Read a backup, and compare every byte with what was written."""

    def run(output: Output) -> None:
        from .commands import show_verification

        show_verification(output, archive)

    guarded(PROGRAM, "backup verify", as_json, run)


def restore(
    archive: Annotated[Path, typer.Argument(metavar="FILE")],
    into: Annotated[Path, typer.Option("--into", help="The new node's DATA_FOLDER.")],
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask neither the chain nor the host's old address.")
    ] = False,
    env_file: EnvFile = Path(".env"),
    as_json: AsJson = False,
) -> None:
    """Put a backup into a folder that a node then starts with."""

    def run(output: Output) -> None:
        from .commands import passphrase_from, show_restore

        passphrase = passphrase_from(passphrase_file, needed=False)
        show_restore(
            output,
            env_file,
            archive,
            into,
            key_file=key_file,
            passphrase=passphrase,
            offline=offline,
        )

    guarded(PROGRAM, "restore", as_json, run)
