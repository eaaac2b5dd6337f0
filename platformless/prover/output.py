"""What `prove-session` prints for a person."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from ..audit.policy import Claim
from ..audit.sample import SampleReport
from ..audit.sample_expected import Unchecked
from ..audit.verify import AcceptedProof, VerificationReport
from ..audit.whole_session import AggregateReport
from ..console import Output, facts
from ..protocol.aggregate import AggregateClaim
from ..protocol.assurance import Component, Coverage
from ..protocol.sample.claim import SampleClaim
from ..protocol.terms import SessionTerms
from .proof import EstimateReport, ProofReport

_COLOURS = {
    Coverage.PROVEN: "green",
    Coverage.CHECKED: "cyan",
    Coverage.SAMPLED: "yellow",
    Coverage.NOT_COVERED: "dim",
}


def show_estimate(output: Output, report: EstimateReport) -> None:
    execution = report.execution
    table = facts()
    table.add_row("tokens billed", f"{report.claim.tokens:,}")
    table.add_row("user cycles", f"{execution.user_cycles:,}")
    table.add_row("paging cycles", f"{execution.paging_cycles:,}")
    table.add_row("total cycles", f"{execution.total_cycles:,} (padded)")
    table.add_row("segments", ", ".join(f"2^{po2}" for po2 in execution.segment_po2))
    table.add_row("memory to prove", f"{execution.memory_bytes / 2**30:.2f} GiB")
    if report.seconds is None or report.throughput is None:
        table.add_row("time to prove", f"unknown on {report.device}: prove once to learn it")
    else:
        table.add_row("time to prove", f"{report.seconds:.0f} s ({report.throughput.source})")
    output.console.print(table)


def _terms_table(terms: SessionTerms) -> Table:
    table = facts()
    table.add_row("session", f"{terms.session_id} on chain {terms.chain_id}")
    table.add_row("marketplace", str(terms.marketplace))
    table.add_row("host", str(terms.host))
    table.add_row("client", str(terms.client))
    table.add_row("model id", str(terms.model_id))
    table.add_row("weights root", _or_none(terms.weights_root))
    table.add_row("price", f"{terms.price} per 1,000 tokens, in base units of the payment token")
    return table


def show_claim(output: Output, claim: Claim) -> None:
    table = _terms_table(claim.terms)
    if isinstance(claim, AggregateClaim):
        table.add_row(
            "checkpoints",
            f"{claim.first_checkpoint} to {claim.last_checkpoint} ({len(claim.parts):,})",
        )
    else:
        table.add_row("checkpoint", str(claim.checkpoint))
    table.add_row(
        "tokens", f"{claim.tokens:,} billed ({claim.tokens_before:,} to {claim.tokens_after:,})"
    )
    table.add_row("header digest", str(claim.header_digest))
    table.add_row("state before", str(claim.state_before))
    table.add_row("state after", str(claim.state_after))
    if isinstance(claim, AggregateClaim):
        table.add_row("guest of the parts", str(claim.part_image))
    else:
        table.add_row("delta digest", _or_none(claim.delta_digest))
        table.add_row("trace root", _or_none(claim.trace_root))
    output.console.print(table)


def show_sample_claim(output: Output, claim: SampleClaim) -> None:
    table = _terms_table(claim.terms)
    context = claim.tokens_after - claim.tokens_before
    table.add_row(
        "context",
        f"{claim.layout.positions:,} positions from entry {claim.first_entry} on, {context:,} "
        f"completion tokens; {claim.tokens_before:,} came before it",
    )
    first, count = claim.covered.first, claim.covered.count
    table.add_row("drawn from", f"{count:,} positions from {first}")
    table.add_row("drawn by", f"block {claim.beacon_number}, {claim.beacon}")
    least, most = (f(one.draws for one in claim.cells) for f in (min, max))
    each = f"{least}" if least == most else f"{least} to {most}"
    table.add_row("cells", f"{claim.plan.cells:,}: {each} of each of {len(claim.cells)} kinds")
    if claim.missing:
        table.add_row("kinds left out", ", ".join(kind.name for kind in claim.missing))
    table.add_row("arithmetic", claim.reference.value)
    table.add_row("model facts", str(claim.model))
    table.add_row("trace root", _or_none(claim.trace_root))
    table.add_row("trace settings", str(claim.settings))
    table.add_row("header digest", str(claim.header_digest))
    table.add_row("state after", str(claim.state_after))
    output.console.print(table)


def _or_none(digest: Any) -> str:
    return "none" if digest.is_zero else str(digest)


def show_verification(output: Output, report: VerificationReport | AggregateReport) -> None:
    show_claim(output, report.claim)
    output.line("")
    _show_steps(output, report)
    show_acceptance(output, report)


def show_sample(output: Output, report: SampleReport) -> None:
    """As `show_verification`; and what there was nothing to compare with."""
    show_sample_claim(output, report.claim)
    output.line("")
    _show_steps(output, report)
    k = report.least_draws
    output.line(
        f"of a kind of which a fraction f deviates, 1-(1-f)^{k} is the chance that a draw met one"
    )
    for what in report.unchecked:
        output.line(f"[yellow]not checked[/]: {_UNCHECKED[what]}")
    if report.shown is not None:
        show_acceptance(output, report)
        return
    _show_bundle(output, report)
    output.line("[bold yellow]the proof holds[/], and too little was compared for level sampled")


_UNCHECKED = {
    Unchecked.CHECKPOINT: "that a billed checkpoint committed to this trace (--checkpoint-bundle)",
    Unchecked.BEACON: "that the block behind the submission drew these cells (--beacon)",
    Unchecked.FACTS: "that this is the model of these weights (--model)",
    Unchecked.CONTEXT: "that the model saw nothing before this context (the audit's --transcript)",
}


def _show_steps(output: Output, report: AcceptedProof) -> None:
    steps = Table(show_header=False, box=None)
    for _ in range(3):
        steps.add_column(no_wrap=True)
    steps.add_column(overflow="fold")
    for passed in report.steps:
        steps.add_row(f"step {passed.step.value}", "[green]ok[/]", passed.step.title, passed.shown)
    output.console.print(steps)
    output.line("")
    show_coverage(output, report.coverage)
    output.line("")


def show_acceptance(output: Output, report: AcceptedProof) -> None:
    _show_bundle(output, report)
    output.line(f"[bold green]accepted[/], level {report.assurance.value}")


def _show_bundle(output: Output, report: AcceptedProof) -> None:
    output.line(
        f"proof {report.proof_hash}, {report.receipt_kind} receipt, {report.bundle_bytes:,} bytes"
    )


def show_coverage(output: Output, coverage: tuple[Component, ...]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("component")
    table.add_column("coverage")
    table.add_column("meaning")
    for row in coverage:
        colour = _COLOURS[row.coverage]
        table.add_row(row.name, f"[{colour}]{row.coverage.value}[/]", row.meaning)
    output.console.print(table)


def show_proof(output: Output, report: ProofReport) -> None:
    proof = report.proof
    verification = report.verification
    if report.requested_receipt_kind != proof.receipt_kind:
        output.line(
            f"[yellow]{report.requested_receipt_kind} was asked for; this binary has no recursion "
            f"programs and made a {proof.receipt_kind} receipt[/]"
        )
    output.line(
        f"proven: {verification.claim.tokens:,} tokens of checkpoint "
        f"{verification.claim.checkpoint}, in {proof.prove_seconds:.1f} s on {report.device}, "
        f"{proof.total_cycles:,} cycles, {proof.peak_memory_bytes / 2**20:.0f} MiB"
    )
    show_acceptance(output, verification)
