"""`fabstir-llm-node s5 put` and `s5 get`: one blob to or from portals."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from ...console import BadInput, Output
from ...storage.cids import BlobId
from ...storage.client import ClientSettings, PortalClient
from ...storage.portals import Portals, PortalsSettings, Replication

TOKEN_VARIABLE = "S5_PORTAL_TOKEN"  # noqa: S105


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Which portals, and how many of them shall have what is put there. The token in
    `S5_PORTAL_TOKEN` is sent to each."""

    portals: tuple[str, ...]
    copies: int = 1
    patience_seconds: float = 60.0

    def open(self) -> Portals:
        token = os.environ.get(TOKEN_VARIABLE) or None
        clients = [PortalClient(ClientSettings(url, token=token)) for url in self.portals]
        return Portals(
            clients, PortalsSettings(copies=self.copies, patience_seconds=self.patience_seconds)
        )


def put_file(output: Output, request: TransferRequest, file: Path) -> Replication:
    """Uploads a file and shows its CID and which portals have it.

    Raises:
        BadInput: when there is no such file.
        StoreError: when too few portals took it.
    """
    if not file.is_file():
        raise BadInput(f"cannot read {file}", expected="a file")

    async def putting() -> Replication:
        async with request.open() as portals:
            return await portals.replicate(file)

    stored = asyncio.run(putting())
    if output.as_json:
        output.json(
            "stored",
            cid=str(stored.blob),
            size=stored.blob.size,
            portals=list(stored.stored),
            faults=[{"portal": url, **error.to_json()} for url, error in stored.faults],
        )
        return stored
    output.line(str(stored.blob))
    for url in stored.stored:
        output.line(f"  stored by {url}")
    for url, error in stored.faults:
        output.errors.print(f"  {url}: {error}", markup=False)
    return stored


def get_file(output: Output, request: TransferRequest, cid: str, out: Path) -> None:
    """Downloads a blob to a file, which appears whole and verified or not at all.

    Raises:
        CidError: when `cid` names no blob.
        StoreError: when no portal gave it.
    """
    blob = BlobId.parse(cid)

    async def getting() -> None:
        async with request.open() as portals:
            await portals.fetch(blob, out)

    asyncio.run(getting())
    if output.as_json:
        output.json("fetched", cid=str(blob), size=blob.size, file=str(out))
    else:
        output.line(f"{out}: {blob.size:,} bytes, verified")
