"""The command `prove-session`: a thin skin over library calls that return reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ..audit.policy import Claim
from ..audit.sample import sample_to_json
from ..audit.verify import claim_to_json
from ..audit.whole_session import aggregate_to_json
from ..console import AsJson, Output, guarded, read_file, require_folder, write_file
from ..protocol.aggregate import CLAIM_KIND as AGGREGATE
from ..protocol.aggregate import AggregateClaim
from ..protocol.bundle import Bundle
from ..protocol.claim import SessionClaim
from ..protocol.record import SessionRecord
from ..protocol.sample.claim import CLAIM_KIND as SAMPLE
from ..protocol.sample.claim import SampleClaim
from .auditing.aggregate import aggregate
from .auditing.audit import audit
from .auditing.model import model
from .auditing.recover import recover
from .auditing.verify import BundleFile, verify
from .auditing.watch import watch
from .binary import find_prover
from .output import show_claim, show_estimate, show_proof, show_sample_claim
from .process import StarkProver
from .progress import ProgressDisplay
from .proof import ProofReport, estimate_window, prove_window
from .proving_options import MemoryGib, ReceiptKind, bytes_of, require_receipt_kind
from .throughput import expected_throughput

_PROGRAM = "prove-session"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Build and check proofs of a session's token accounting.",
)

RecordFile = Annotated[Path, typer.Argument(metavar="RECORD.json", help="A recorded session.")]
CheckpointNumber = Annotated[
    int, typer.Option("--checkpoint", min=0, help="Which checkpoint of the record.")
]


@app.callback(invoke_without_command=True)
def prove_session(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Say what this program is made of, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build and check proofs of a session's token accounting."""
    if version:
        from .release_facts import print_version

        print_version(_PROGRAM, as_json)
    if context.invoked_subcommand is None:
        context.fail("Missing command.")
    if as_json:
        context.fail("--json comes behind the command, or with --version.")


@app.command()
def estimate(
    record: RecordFile,
    checkpoint: CheckpointNumber = 0,
    memory_gib: MemoryGib = 8.0,
    as_json: AsJson = False,
) -> None:
    """Run the guest without proving: cycles, expected time and memory."""

    def run(output: Output) -> None:
        window = SessionRecord.decode(read_file(record)).window(checkpoint)
        report = _with_prover(
            lambda prover: estimate_window(prover, window, memory_bytes=bytes_of(memory_gib))
        )
        if as_json:
            output.json("estimated", estimate=report.to_json())
        else:
            show_estimate(output, report)

    _guarded("estimate", as_json, run)


@app.command()
def prove(
    record: RecordFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="Bundle to write; default RECORD.bundle.")
    ] = None,
    kind: ReceiptKind = "composite",
    checkpoint: CheckpointNumber = 0,
    memory_gib: MemoryGib = 8.0,
    as_json: AsJson = False,
) -> None:
    """Prove one checkpoint, verify the proof and write its bundle."""

    def run(output: Output) -> None:
        require_receipt_kind(kind)
        target = out or record.with_suffix(".bundle")
        require_folder("bundle", target)
        decoded = SessionRecord.decode(read_file(record))
        window = decoded.window(checkpoint)
        acknowledgement = decoded.acknowledgement(checkpoint)

        async def proving(prover: StarkProver) -> ProofReport:
            device = (await prover.info()).device
            with ProgressDisplay(output.errors, expected_throughput(device)) as display:
                return await prove_window(
                    prover,
                    window,
                    acknowledgement=acknowledgement,
                    receipt_kind=kind,
                    memory_bytes=bytes_of(memory_gib),
                    on_progress=display.show,
                )

        report = _with_prover(proving)
        write_file(target, report.data)
        if as_json:
            output.json("accepted", bundle=str(target), proof=report.to_json())
        else:
            show_proof(output, report)
            output.line(f"written to {target}")

    _guarded("prove", as_json, run)


@app.command()
def inspect(bundle: BundleFile, as_json: AsJson = False) -> None:
    """Print what a bundle says, without checking that it is true."""

    def run(output: Output) -> None:
        decoded = Bundle.decode(read_file(bundle))
        claim = _CLAIMS.get(decoded.claim_kind, SessionClaim).decode(decoded.journal)
        described: dict[str, Any] = {
            "format": decoded.format,
            "claim_kind": decoded.claim_kind,
            "assurance": decoded.assurance,
            "image_id": str(decoded.image),
            "zkvm": decoded.zkvm,
            "verifier_parameters": "0x" + decoded.verifier_parameters.hex(),
            "receipt_kind": decoded.receipt_kind,
            "receipt_bytes": len(decoded.receipt),
            "acknowledged": decoded.acknowledgement is not None,
            "proof_hash": str(decoded.proof_hash),
        }
        if as_json:
            output.json("inspected", bundle=described, claim=_claim_json(claim))
            return
        for name, value in described.items():
            output.line(f"{name.replace('_', ' ')}: {value}")
        output.line("")
        if isinstance(claim, SampleClaim):
            show_sample_claim(output, claim)
        else:
            show_claim(output, claim)
        output.line("[yellow]not verified[/]: `prove-session verify` checks that this is true")

    _guarded("inspect", as_json, run)


app.command()(verify)
app.command()(model)
app.command()(recover)
app.command()(audit)
app.command()(aggregate)
app.command()(watch)


def main() -> None:
    """Entry point of the console script."""
    app()


_Report = TypeVar("_Report")


def _with_prover(use: Callable[[StarkProver], Coroutine[Any, Any, _Report]]) -> _Report:
    async def run() -> _Report:
        async with StarkProver(find_prover()) as prover:
            return await use(prover)

    return asyncio.run(run())


def _guarded(command: str, as_json: bool, run: Callable[[Output], None]) -> None:
    guarded(_PROGRAM, command, as_json, run)


_CLAIMS: dict[str, type[SessionClaim | AggregateClaim | SampleClaim]] = {
    AGGREGATE: AggregateClaim,
    SAMPLE: SampleClaim,
}
"""Of other kinds than a checkpoint's."""


def _claim_json(claim: Claim | SampleClaim) -> dict[str, Any]:
    if isinstance(claim, SampleClaim):
        return sample_to_json(claim)
    if isinstance(claim, AggregateClaim):
        return aggregate_to_json(claim)
    return claim_to_json(claim)
