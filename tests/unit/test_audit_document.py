"""The published format of a report, and its table for a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from platformless.audit.session.document import AuditDocument, schema
from platformless.audit.session.report import AuditReport
from platformless.audit.session.sample_states import SampleState
from platformless.console import Output
from platformless.errors import PlatformlessError
from platformless.prover.auditing.show import show_audit

from .audit_reports import (
    ACTIVE,
    HOSTILE,
    absurd,
    accepted,
    active,
    hostile,
    in_one_proof,
    many,
    partly_sampled,
    rejected,
    replayed,
    sampled,
    without_proofs,
)

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "session-audit-1.json"
REPORTS = {
    "accepted": accepted(),
    "rejected": rejected(),
    "active": active(),
    "without proofs": without_proofs(),
    "many": many(),
    "replayed": replayed([0.0] * 300),
    "in one proof": in_one_proof(),
    "sampled": sampled(),
    "partly sampled": partly_sampled(),
    "absurd": absurd(),
}


@pytest.mark.parametrize("made", REPORTS.values(), ids=REPORTS)
def test_a_report_is_of_the_published_format(made: AuditReport) -> None:
    text = json.dumps(made.to_json(), allow_nan=False)
    read = msgspec.json.decode(text, type=AuditDocument)
    assert json.loads(msgspec.json.encode(read)) == json.loads(text)


def test_the_schema_is_the_published_one() -> None:
    assert SCHEMA.read_text() == schema()


def test_a_field_that_the_schema_has_not_is_noticed() -> None:
    document = {**accepted().to_json(), "later": 1}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(document), type=AuditDocument)


def shown(made: AuditReport) -> str:
    output = Output("prove-session", "audit", as_json=False)
    printed = io.StringIO()
    output.console = Console(file=printed, width=160, highlight=False)
    show_audit(output, made)
    return printed.getvalue()


@pytest.mark.parametrize("made", REPORTS.values(), ids=REPORTS)
def test_what_is_shown_is_short(made: AuditReport) -> None:
    assert made.outcome in shown(made)
    assert shown(made).count("\n") < 200


def test_sampled_cells_are_shown_with_what_they_are_worth() -> None:
    text = shown(sampled())
    assert "accepted, level sampled" in text
    assert "accepted, 2 of each kind" in text
    assert "1-(1-f)^2" in text
    assert "chosen from these logits is not shown" in text
    part = shown(partly_sampled())
    for state in SampleState:
        assert state.value in part
    assert "1,000 tokens in contexts with an accepted proof, 1,000 in checkpoints that" in part
    assert "at one in 4" in part


@pytest.mark.parametrize("made", [sampled(), partly_sampled()])
def test_arithmetic_is_sampled_only_where_every_token_is(made: AuditReport) -> None:
    (row,) = [one for one in made.coverage if one.name == "model arithmetic"]
    everything = made.tokens.sampled + made.tokens.spared == made.tokens.claimed
    assert row.coverage.value == ("sampled" if everything else "not covered")


def test_what_strangers_wrote_is_only_printed() -> None:
    text = shown(hostile())
    assert "<script>alert(1)</script>" in text
    assert "[bold red]accepted[/]" in text
    assert not ACTIVE.search(text)
    assert text.encode()


def test_an_error_of_a_stranger_is_only_printed() -> None:
    output = Output("prove-session", "audit", as_json=False)
    printed = io.StringIO()
    output.errors.file = printed
    output.error(PlatformlessError(" ".join(HOSTILE), expected=HOSTILE[0], got=r"\[/]"))
    text = printed.getvalue()
    assert "[link=https://evil.example]" in text
    assert ":skull:" in text
    assert not ACTIVE.search(text)
    assert text.encode()
