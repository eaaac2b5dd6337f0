"""`prove-session aggregate`: one proof for all checkpoints of a session."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console import AsJson, Output, guarded, require_folder, write_file
from ..chain_options import (
    DEFAULT_NETWORK,
    ChainOptions,
    EnvFile,
    MarketplaceAddress,
    NetworkName,
    RpcUrls,
)
from ..proving_options import MemoryGib, ReceiptKind, bytes_of, require_receipt_kind
from .options import PORTAL_PATIENCE_SECONDS, PortalPatience, PortalUrls, opened

if TYPE_CHECKING:
    from ..aggregate import AggregateProof


def aggregate(
    session: Annotated[int, typer.Argument(min=1, help="Session id, the job id on chain.")],
    portal: PortalUrls,
    network: NetworkName = DEFAULT_NETWORK,
    env_file: EnvFile = None,
    rpc_url: RpcUrls = None,
    marketplace: MarketplaceAddress = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Bundle to write; default session-N.bundle.")
    ] = None,
    upload: Annotated[
        bool, typer.Option("--upload", help="Put the bundle into storage as well; prints its CID.")
    ] = False,
    kind: ReceiptKind = "composite",
    memory_gib: MemoryGib = 8.0,
    portal_patience: PortalPatience = PORTAL_PATIENCE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Join the proofs of a session's checkpoints into one, which `audit --whole-session` takes.

    A composite proof carries the proofs of the checkpoints within it, so it is as large as they
    are together; a succinct one is not.
    """

    def run(output: Output) -> None:
        from ...audit.session.collecting import collect_bundles
        from ..aggregate import aggregate_bundles
        from ..binary import find_prover
        from ..process import StarkProver
        from ..progress import ProgressDisplay
        from ..throughput import expected_throughput
        from .progress import AuditProgress

        require_receipt_kind(kind)
        target = out or Path(f"session-{session}.bundle")
        require_folder("bundle", target)
        options = ChainOptions(network, env_file, tuple(rpc_url or ()), marketplace)

        async def aggregating() -> tuple[AggregateProof, str | None]:
            async with opened(options, portal, portal_patience) as (chain, storage):
                with AuditProgress(output.errors) as progress:
                    bundles = await collect_bundles(
                        chain,
                        storage,
                        session,
                        on_done=lambda done, total: progress.on_stage(
                            "fetching bundles", done, total
                        ),
                    )
                async with StarkProver(find_prover()) as prover:
                    device = (await prover.info()).device
                    with ProgressDisplay(output.errors, expected_throughput(device)) as display:
                        proof = await aggregate_bundles(
                            prover,
                            bundles,
                            receipt_kind=kind,
                            memory_bytes=bytes_of(memory_gib),
                            on_progress=display.show,
                        )
                write_file(target, proof.data)
                return proof, str(await storage.put(proof.data)) if upload else None

        proof, cid = asyncio.run(aggregating())
        if as_json:
            output.json("accepted", bundle=str(target), cid=cid, proof=proof.to_json())
            return
        claim = proof.verification.claim
        output.line(
            f"[green]proven[/]: {len(claim.parts)} checkpoints, {claim.tokens:,} tokens, in one "
            f"{proof.verification.receipt_kind} proof of {len(proof.data):,} bytes"
        )
        if proof.verification.receipt_kind == "composite":
            output.line(
                "  it carries the proofs of the checkpoints, so it grows with them; "
                "`--kind succinct` needs a prover with the recursion programs"
            )
        output.line(f"written to {target}")
        if cid is not None:
            output.line(f"in storage as {cid}")

    guarded("prove-session", "aggregate", as_json, run)
