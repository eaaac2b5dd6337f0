"""The report as one HTML file that needs nothing else: no script, no font, no address.

What comes from hosts and nodes is escaped by the template engine; control characters and those
that turn the direction of writing are replaced.
"""

from __future__ import annotations

from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...console import harmless
from .page.figures import Step, margins, shares, timeline
from .report import AuditReport

_MOST_CHECKPOINTS = 500
_MOST_FINDINGS = 1_000


def _printable(value: object) -> object:
    """What the template writes: texts of strangers without characters that do something."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_environment = Environment(
    loader=PackageLoader(f"{__package__}.page", ""),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_printable,
)


def render_html(report: AuditReport) -> str:
    """The page."""
    payment, replay = report.payment, report.replay
    paid = (
        ("host", payment.paid_to_host.units),
        ("treasury", payment.treasury.units),
        ("refund", payment.refunded.units),
        ("held", 0 if payment.over else payment.deposit.units),
    )
    return _environment.get_template("page.html.jinja").render(
        report=report,
        session=report.session,
        replay=replay,
        sentence=_sentence(report),
        # Made of numbers alone.
        timeline=Markup(timeline(_steps(report), report.session.started_at)),  # noqa: S704
        payment=Markup(shares(paid, "where the deposit went")),  # noqa: S704
        margins=Markup(  # noqa: S704
            margins(replay.tokens.margin, replay.verdict.margin_limit) if replay else ""
        ),
        number=lambda value: f"{value:,}",
        time=_time,
        most_checkpoints=_MOST_CHECKPOINTS,
        most_findings=_MOST_FINDINGS,
    )


def _steps(report: AuditReport) -> list[Step]:
    steps, time = list[Step](), report.session.started_at
    for one in report.checkpoints:
        time = max(time, one.time or time)
        steps.append(Step(time, one.place.tokens, one.proven))
    return steps


def _sentence(report: AuditReport) -> str:
    tokens = report.tokens
    if not report.accepted:
        count, first = len(report.errors), report.errors[0]
        said = "One finding speaks" if count == 1 else f"{count:,} findings speak"
        return f"{said} against it; the first: {first.meaning}"
    if report.assurance is None:
        return "Nothing was billed."
    sentence = f"{tokens.proven:,} of {tokens.claimed:,} billed tokens are proven."
    if tokens.sampled:
        sentence += (
            f" Cells of the model's arithmetic were drawn and recomputed for {tokens.sampled:,}."
        )
    if report.replay is not None and report.replay.replayed:
        sentence += " The replay finds them to be the model's own."
    return sentence


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "unknown"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{seconds} s"
