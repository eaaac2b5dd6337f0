"""An audit's report for a person at a terminal. Texts of strangers are made harmless."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.table import Table

from ...audit.session.findings import Finding, Severity
from ...audit.session.report import AuditReport, CheckpointAudit
from ...console import Output, facts, plain
from ..output import show_coverage

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_SAMPLE_COLOURS = {
    "accepted": "green",
    "rejected": "red",
    "missing": "yellow",
    "unchecked facts": "yellow",
}
_MOST_ROWS = 20
_MOST_FINDINGS = 30


def show_audit(output: Output, report: AuditReport) -> None:
    """Verdict first; then what it rests on."""
    _show_verdict(output, report)
    output.line("")
    _show_facts(output, report)
    output.line("")
    show_coverage(output, report.coverage)
    output.line("")
    if report.checkpoints:
        _show_checkpoints(output, report.checkpoints)
        output.line("")
    for finding in report.findings[:_MOST_FINDINGS]:
        _show_finding(output, finding)
    more = len(report.findings) - _MOST_FINDINGS
    if more > 0:
        output.line(f"… and {more:,} findings more: `--json` has them all")


def _show_verdict(output: Output, report: AuditReport) -> None:
    tokens = report.tokens
    if not report.accepted:
        reasons = len(report.errors)
        output.line(f"[bold red]rejected[/]: {reasons} finding{'s' * (reasons > 1)}")
    elif report.assurance is None:
        output.line("[bold green]accepted[/]: nothing was billed")
    else:
        output.line(
            f"[bold green]accepted[/], level {report.assurance.value}: "
            f"{tokens.proven:,} of {tokens.claimed:,} billed tokens are proven"
        )


def _show_facts(output: Output, report: AuditReport) -> None:
    session, tokens, payment = report.session, report.tokens, report.payment
    table = facts()
    table.add_row(
        "session", f"{session.id} on chain {report.chain_id}, {session.status.name.lower()}"
    )
    table.add_row("host", str(session.host))
    table.add_row("client", str(session.client))
    table.add_row("model id", str(report.model_id))
    table.add_row(
        "tokens",
        f"{tokens.claimed:,} billed, {tokens.proven:,} proven, "
        f"{tokens.acknowledged:,} acknowledged",
    )
    if tokens.sampled or tokens.spared:
        table.add_row(
            "sampled cells",
            f"{tokens.sampled:,} tokens in contexts with an accepted proof, "
            f"{tokens.spared:,} in checkpoints that were not drawn",
        )
    table.add_row("price", _plain(payment.price))
    table.add_row("due", f"{payment.due} of a deposit of {payment.deposit}")
    if payment.over:
        table.add_row(
            "paid",
            f"{payment.paid_to_host} to the host, {payment.treasury} to the treasury, "
            f"{payment.refunded} back",
        )
    if report.whole_session is not None:
        whole = report.whole_session
        table.add_row("one proof", f"{_plain(whole.receipt_kind)}, {whole.bundle_bytes:,} bytes")
    if report.transcript is not None:
        received = report.transcript
        table.add_row("transcript", f"{received.matched:,} of {received.tokens:,} tokens proven")
    if report.replay is not None:
        replay = report.replay
        table.add_row(
            "replay",
            f"{replay.mode.value}, {len(replay.tokens):,} tokens, "
            f"{replay.tokens_per_second:,.0f} tokens/s: {replay.verdict.outcome.value}",
        )
    table.add_row("read at", f"block {report.read_at.number}, {_time(report.read_at.timestamp)}")
    output.console.print(table)


def _show_checkpoints(output: Output, checkpoints: tuple[CheckpointAudit, ...]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("checkpoint", "tokens", "submitted", "proof", "sampled cells", "delta", "bundle"):
        table.add_column(name, justify="right" if name in ("tokens", "bundle") else "left")
    for one in checkpoints[:_MOST_ROWS]:
        place, proof = one.place, one.evidence.proof
        table.add_row(
            str(place.number),
            f"{place.tokens:,}",
            _time(one.time) if one.time else "",
            "[green]proven[/]" if one.proven else "[red]unproven[/]",
            _sample(one),
            one.delta_state,
            f"{proof.bundle_bytes:,} bytes" if proof else "",
        )
    output.console.print(table)
    more = len(checkpoints) - _MOST_ROWS
    if more > 0:
        unproven = sum(not one.proven for one in checkpoints[_MOST_ROWS:])
        output.line(f"… and {more:,} more, {unproven:,} of them unproven")


def _sample(one: CheckpointAudit) -> str:
    """The state of its sampled cells, and of an accepted proof how much it shows."""
    colour = _SAMPLE_COLOURS.get(one.sample_state, "dim")
    said = f"[{colour}]{one.sample_state}[/]"
    report = one.sample.report if one.sample is not None else None
    return said if report is None else f"{said}, {report.least_draws} of each kind"


def _show_finding(output: Output, finding: Finding) -> None:
    colour = _COLOURS[finding.severity]
    where = "" if finding.checkpoint is None else f"checkpoint {finding.checkpoint}: "
    output.line(
        f"[{colour}]{finding.severity.value}[/] {finding.code} {where}{_plain(finding.message)}"
    )
    told = {"expected": finding.expected, "got": finding.got}
    values = [f"{name} {_plain(value)}" for name, value in told.items() if value is not None]
    if values:
        output.line(f"  {'; '.join(values)}")
    output.line(f"  [dim]{_plain(finding.meaning)}[/]")


def _plain(text: str) -> str:
    return plain(text.replace("\n", " "))


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{seconds} s"
