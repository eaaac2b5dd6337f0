"""The published format of a report, and its table for a terminal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from platformless.audit.session.document import AuditDocument, schema
from platformless.audit.session.report import AuditReport
from platformless.console import Output
from platformless.prover.auditing.show import show_audit

from .audit_reports import report, timeless

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "session-audit-1.json"
REPORTS = [report(), report(0), report(3, unproven=3, findings=4), timeless(), report(10_000)]
NAMES = ["accepted", "nothing", "rejected", "timeless", "long"]


@pytest.mark.parametrize("made", REPORTS, ids=NAMES)
def test_a_report_is_of_the_published_format(made: AuditReport) -> None:
    text = json.dumps(made.to_json(), allow_nan=False)
    read = msgspec.json.decode(text, type=AuditDocument)
    assert json.loads(msgspec.json.encode(read)) == json.loads(text)


def test_the_schema_is_the_published_one() -> None:
    assert SCHEMA.read_text() == schema()


def test_a_field_that_the_schema_has_not_is_noticed() -> None:
    document = {**report().to_json(), "later": 1}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(document), type=AuditDocument)


@pytest.mark.parametrize("made", REPORTS, ids=NAMES)
def test_what_is_shown_is_short_and_harmless(made: AuditReport) -> None:
    output = Output("prove-session", "audit", as_json=False)
    printed = io.StringIO()
    output.console = Console(file=printed, width=120, highlight=False)
    show_audit(output, made)
    shown = printed.getvalue()
    assert made.outcome in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", shown)
    assert shown.count("\n") < 150
    if made.findings:
        assert "alert('x')" in shown
        assert "[red]" in shown
