"""A transcript that no model can have made is a finding among the others, not the audit's end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from platformless.audit.session.findings import Severity
from platformless.audit.session.inputs import AuditInputs
from platformless.audit.session.replaying import foreign_file
from platformless.engine.model import packaged_model
from platformless.protocol.digests import WeightsRoot
from platformless.protocol.exported import ExportedTranscript
from platformless.protocol.transcript import Entry, Kind

from .stage import Stage

Change = Callable[[Entry], Entry]


def first_answer(transcript: ExportedTranscript, change: Change) -> ExportedTranscript:
    """The transcript with another first answer."""
    entries = list(transcript.entries)
    number = next(n for n, one in enumerate(entries) if one.kind is Kind.COMPLETION)
    entries[number] = change(entries[number])
    return replace(transcript, entries=tuple(entries))


def with_foreign_token(entry: Entry) -> Entry:
    return replace(entry, tokens=(1 << 31, *entry.tokens[1:]))


def with_unusable_sampler(entry: Entry) -> Entry:
    return replace(entry, sampler=replace(entry.sampler, temperature=1.0, top_p=2.0))


@pytest.mark.parametrize(
    ("change", "code"), [(with_foreign_token, "ENG-402"), (with_unusable_sampler, "ENG-202")]
)
async def test_what_cannot_be_replayed_is_found(stage: Stage, change: Change, code: str) -> None:
    await stage.be_honest()
    transcript = first_answer(stage.transcript, change)
    report = await stage.audit(AuditInputs(transcript=transcript, model=packaged_model()))
    assert not report.accepted
    assert {"AUD-322", code} <= {finding.code for finding in report.errors}
    assert report.replay is None


async def test_an_answer_to_nothing_is_found(stage: Stage) -> None:
    await stage.be_honest()
    transcript = replace(stage.transcript, entries=stage.transcript.entries[1:])
    report = await stage.audit(AuditInputs(transcript=transcript, model=packaged_model()))
    assert {"AUD-322", "ENG-403"} <= {finding.code for finding in report.errors}


async def test_a_transcript_without_answers_is_not_replayed(stage: Stage) -> None:
    await stage.open()
    transcript = replace(stage.transcript, entries=stage.transcript.entries[:1])
    report = await stage.audit(AuditInputs(transcript=transcript, model=packaged_model()))
    assert report.accepted, report.findings
    found = {finding.code: finding.severity for finding in report.findings}
    assert found["AUD-326"] is Severity.WARNING


def test_a_file_that_is_not_the_sessions_is_told_apart(stage: Stage) -> None:
    header = stage.header
    other = replace(header.terms, weights_root=WeightsRoot(b"\x09" * 32))
    foreign = replace(stage.transcript, header=replace(header, terms=other))
    assert [one.code for one in foreign_file(packaged_model(), foreign, None)] == ["AUD-401"]
    unbound = replace(header.terms, weights_root=WeightsRoot.zero())
    own = replace(stage.transcript, header=replace(header, terms=unbound))
    assert foreign_file(packaged_model(), own, None) == []
