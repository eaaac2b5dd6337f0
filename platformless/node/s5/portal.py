"""`fabstir-llm-node s5` and `s5-portal`: names of blobs, and a portal on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import typer

from ...console import RUNNING, BadInput, Output, stop_requested
from ...storage.cids import BlobId
from ...storage.errors import CidError
from ...storage.portal.blobs import hash_of_file
from ...storage.portal.contents import CheckReport, Contents
from ...storage.portal.settings import PortalSettings
from ..logs import log_as_told
from ..redaction import SECRETS

_DAMAGED_STATUS = 1


@dataclass(frozen=True, slots=True)
class PortalRequest:
    """What was asked for on the command line; `port` 0: a free one."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    quota_bytes: int | None = None
    token: str | None = None
    private_reads: bool = False
    allow_delete: bool = False

    def settings(self) -> PortalSettings:
        return PortalSettings(
            self.folder,
            quota_bytes=self.quota_bytes,
            token=self.token,
            private_reads=self.private_reads,
            allow_delete=self.allow_delete,
        )


def run_portal(output: Output, request: PortalRequest) -> None:
    """Starts a portal, shows its address, and stays until SIGINT or SIGTERM.

    Raises:
        BadInput, PortUnavailable, DiskFull, DiskFailed
    """
    if request.private_reads and request.token is None:
        raise BadInput("private reads need a token", expected="a token")
    SECRETS.hide_text(request.token or "")
    log_as_told(os.environ, "portal")
    asyncio.run(_run(output, request))


async def _run(output: Output, request: PortalRequest) -> None:
    # Here, not above: names and the check need no server.
    from ...storage.portal.running import EmbeddedPortal

    stopping = stop_requested()
    async with EmbeddedPortal(request.settings(), host=request.host, port=request.port) as portal:
        used = portal.contents.blobs.space.used_bytes
        if output.as_json:
            output.json(
                "running",
                portal={
                    "url": portal.url,
                    "folder": str(request.folder.absolute()),
                    "used_bytes": used,
                    "quota_bytes": request.quota_bytes,
                    "needs_token": request.token is not None,
                    "private_reads": request.private_reads,
                },
            )
        else:
            quota = "no quota" if request.quota_bytes is None else f"of {request.quota_bytes:,}"
            output.line(f"{'portal':<16}{portal.url}")
            output.line(f"{'folder':<16}{request.folder.absolute()}")
            output.line(f"{'used':<16}{used:,} bytes, {quota}")
            if request.token is None and not _is_loopback(request.host):
                output.line("[yellow]anyone who reaches this address may write: no token[/]")
            output.line(RUNNING)
        await stopping.wait()


def check_portal(output: Output, folder: Path) -> CheckReport:
    """Hashes every blob of a portal again and reports; damaged ones are put aside.

    Raises:
        BadInput: when there is no such folder.
        DiskFull, DiskFailed
        typer.Exit: with status 1 when blobs were damaged.
    """
    if not (folder / "blobs").is_dir():
        raise BadInput(f"no portal in {folder}", expected="the folder of a portal")
    report = Contents(PortalSettings(folder)).check()
    if output.as_json:
        output.json(
            "accepted" if report.is_sound else "rejected",
            sound_blobs=report.blobs,
            checked_bytes=report.checked_bytes,
            quarantined=[
                {"name": damaged.name, "found": damaged.found.value.hex()}
                for damaged in report.damaged
            ],
            swept_files=report.swept,
            dangling_paths=list(report.dangling),
        )
    else:
        output.line(f"{report.blobs:,} sound blobs, {report.checked_bytes:,} bytes checked")
        output.line(f"{report.swept:,} unfinished files removed")
        for damaged in report.damaged:
            output.line(f"[red]damaged[/], moved to quarantine: {damaged.name}")
        for path in report.dangling:
            output.line(f"[yellow]no blob[/] at path {path}")
    if not report.is_sound:
        raise typer.Exit(_DAMAGED_STATUS)
    return report


def show_cid(output: Output, target: str) -> BlobId:
    """Shows every spelling of a blob's name: of a file's content, or of a name in any spelling.

    Raises:
        BadInput: when it is neither, with the reason in `got`.
    """
    blob = _blob_of(target)
    if output.as_json:
        output.json("done", hash=blob.hash.value.hex(), size=blob.size, spellings=blob.spellings())
        return blob
    rows = {"hash (BLAKE3)": blob.hash.value.hex(), "size": f"{blob.size:,} bytes"}
    for name, value in (rows | blob.spellings()).items():
        output.line(f"{name:<22}{value}")
    return blob


def _blob_of(target: str) -> BlobId:
    path = Path(target)
    try:
        if path.is_file():
            with path.open("rb") as file:
                return hash_of_file(file)
    except OSError as error:
        raise BadInput(f"cannot read {target}", got=error.strerror or str(error)) from error
    try:
        return BlobId.parse(target)
    except CidError as error:
        raise BadInput(
            f"neither a file nor a blob's name: {target[:100]}",
            expected="a file, or a CID",
            got=str(error),
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
