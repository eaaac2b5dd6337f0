"""The commands `s5 cid`, `s5 put`, `s5 get` and `s5-portal`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import AsJson, Output, guarded
from ..options import PROGRAM

PortalUrls = Annotated[
    list[str],
    typer.Option("--portal", envvar="S5_PORTAL_URL", help="S5 portal; several times for several."),
]

s5 = typer.Typer(no_args_is_help=True, help="Blobs on S5 portals.")


@s5.command("cid")
def s5_cid(
    target: Annotated[str, typer.Argument(metavar="FILE-or-CID")], as_json: AsJson = False
) -> None:
    """Print every spelling of a blob's name."""

    def run(output: Output) -> None:
        from .portal import show_cid

        show_cid(output, target)

    guarded(PROGRAM, "s5 cid", as_json, run)


@s5.command("put")
def s5_put(
    file: Path,
    portal: PortalUrls,
    copies: Annotated[int, typer.Option(min=1, help="Portals that must have it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Upload a file; it is named by its hash."""

    def run(output: Output) -> None:
        from .transfer import TransferRequest, put_file

        put_file(output, TransferRequest(tuple(portal), copies), file)

    guarded(PROGRAM, "s5 put", as_json, run)


@s5.command("get")
def s5_get(
    cid: str,
    portal: PortalUrls,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default: CID.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download a blob, verified."""

    def run(output: Output) -> None:
        from .transfer import TransferRequest, get_file

        get_file(output, TransferRequest(tuple(portal)), cid, out or Path(cid))

    guarded(PROGRAM, "s5 get", as_json, run)


PortalFolder = Annotated[Path, typer.Option("--folder", help="Where blobs are kept.")]


def s5_portal(
    folder: PortalFolder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 5522,
    quota_gib: Annotated[
        float | None, typer.Option("--quota-gib", min=0.001, help="No more than this.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="S5_PORTAL_TOKEN", help="Needed to write.")
    ] = None,
    private_reads: Annotated[
        bool, typer.Option("--private-reads", help="Reading needs the token as well.")
    ] = False,
    allow_delete: Annotated[
        bool, typer.Option("--allow-delete", help="Blobs may be deleted.")
    ] = False,
    fsck: Annotated[
        bool, typer.Option("--fsck", help="Hash every blob again, report, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run an S5 portal on this machine, until it is interrupted."""

    def run(output: Output) -> None:
        from .portal import PortalRequest, check_portal, run_portal

        if fsck:
            check_portal(output, folder)
            return
        quota_bytes = None if quota_gib is None else int(quota_gib * 2**30)
        run_portal(
            output,
            PortalRequest(folder, host, port, quota_bytes, token, private_reads, allow_delete),
        )

    guarded(PROGRAM, "s5-portal", as_json, run)
