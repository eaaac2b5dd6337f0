"""An honest session is accepted, whatever the auditor has; so nothing above is rejected for
nothing."""

from __future__ import annotations

from dataclasses import replace

from platformless.audit.session.findings import Severity
from platformless.audit.session.inputs import AuditInputs
from platformless.audit.session.session_policy import AuditPolicy
from platformless.engine.model import packaged_model
from platformless.protocol.assurance import Assurance
from platformless.protocol.exported import BrokenOff
from platformless.protocol.transcript import Kind, Tokens
from tests.data.make_aggregate import BUNDLE as AGGREGATE

from .stage import Stage


async def test_an_honest_session_is_accepted(stage: Stage) -> None:
    await stage.be_honest()
    report = await stage.audit()
    assert report.accepted, report.findings
    assert report.assurance is Assurance.ACCOUNTING
    assert report.tokens.claimed == report.tokens.proven > 0
    assert [one.proven for one in report.checkpoints] == [True, True]
    assert {finding.severity for finding in report.findings} <= {Severity.NOTE, Severity.WARNING}


async def test_with_all_that_there_is(stage: Stage) -> None:
    stage.bundles = [stage.acknowledged(bundle) for bundle in stage.bundles]
    await stage.be_honest()
    await stage.settle()
    policy = AuditPolicy(
        require_acknowledgement=True, deltas="read", require_index=True, require_settled=True
    )
    inputs = AuditInputs(policy=policy, transcript=stage.transcript, index=stage.index())
    report = await stage.audit(inputs)
    assert report.accepted, report.findings
    assert report.transcript is not None
    assert report.transcript.matched == report.tokens.claimed == report.tokens.acknowledged
    assert report.payment.over
    covered = {one.name: one.coverage.value for one in report.coverage}
    assert covered["received text"] == covered["published text"] == "checked"
    assert covered["model arithmetic"] == "not covered"


async def test_a_policy_is_not_met_by_leaving_out(stage: Stage) -> None:
    await stage.be_honest()
    policy = AuditPolicy(
        require_acknowledgement=True,
        require_index=True,
        require_settled=True,
        minimum_assurance=Assurance.REPLAYED,
    )
    report = await stage.audit(AuditInputs(policy=policy))
    assert {one.code for one in report.errors} == {"AUD-601", "AUD-603", "AUD-605", "AUD-606"}


async def test_a_policy_may_allow_unproven_tokens(stage: Stage) -> None:
    await stage.open()
    await stage.submit(0)
    await stage.submit(1, proof_cid="")
    unproven = stage.deltas[1].tokens_after - stage.deltas[1].tokens_before
    strict = await stage.audit()
    assert [one.code for one in strict.errors] == ["AUD-602"]
    lenient = AuditPolicy(most_unproven_tokens=Tokens(unproven))
    assert (await stage.audit(AuditInputs(policy=lenient))).accepted
    almost = replace(lenient, most_unproven_tokens=Tokens(unproven - 1))
    assert not (await stage.audit(AuditInputs(policy=almost))).accepted


async def test_a_session_without_proofs_bills_nothing(stage: Stage) -> None:
    await stage.open()
    report = await stage.audit()
    assert report.accepted
    assert report.assurance is None
    assert report.tokens.claimed == 0


async def test_answers_after_the_last_checkpoint_are_a_note(stage: Stage) -> None:
    await stage.open()
    await stage.submit(0)
    report = await stage.audit(AuditInputs(transcript=stage.transcript))
    assert report.accepted, report.findings
    assert "AUD-325" in {one.code for one in report.findings}


async def test_a_client_is_not_told_of_the_end(stage: Stage) -> None:
    await stage.be_honest()
    received = stage.transcript
    assert received.entries[-1].kind is Kind.END
    without = replace(received, entries=received.entries[:-1])
    report = await stage.audit(AuditInputs(transcript=without))
    assert report.accepted, report.findings
    assert report.transcript is not None
    assert report.transcript.matched == report.tokens.claimed


async def test_an_answer_that_broke_off_is_a_warning(stage: Stage) -> None:
    """The client lost the connection in its last answer and never came back."""
    await stage.be_honest()
    entries = stage.transcript.entries
    last = max(number for number, one in enumerate(entries) if one.kind is Kind.COMPLETION)
    broken_off = BrokenOff(entries[last].billed, entries[last].text[:7])
    received = replace(stage.transcript, entries=entries[: last - 1], broken_off=(broken_off,))
    report = await stage.audit(AuditInputs(transcript=received))
    assert report.accepted, report.findings
    found = {one.code: one for one in report.findings}
    assert found["AUD-327"].severity is Severity.WARNING
    assert report.transcript is not None
    unmatched = report.tokens.claimed - report.transcript.matched
    assert found["AUD-327"].got == f"{unmatched} tokens not matched"
    covered = {one.name: one.coverage.value for one in report.coverage}
    assert covered["received text"] == "not covered"
    fewer = replace(broken_off, max_tokens=broken_off.max_tokens - 1)
    report = await stage.audit(AuditInputs(transcript=replace(received, broken_off=(fewer,))))
    assert "AUD-323" in {one.code for one in report.errors}
    other = replace(broken_off, received="Never so.")
    report = await stage.audit(AuditInputs(transcript=replace(received, broken_off=(other,))))
    assert "AUD-324" in {one.code for one in report.errors}


async def test_one_proof_stands_for_all_checkpoints(stage: Stage) -> None:
    """Also when storage has lost the bundles."""
    await stage.open()
    await stage.submit(0, proof_cid="")
    await stage.submit(1, proof_cid="")
    whole = AGGREGATE.read_bytes()
    inputs = AuditInputs(whole_session=whole, transcript=stage.transcript)
    report = await stage.audit(inputs)
    assert report.accepted, report.findings
    assert report.whole_session is not None
    assert [one.proven for one in report.checkpoints] == [True, True]
    assert report.transcript is not None
    assert report.transcript.matched == report.tokens.claimed == report.tokens.proven
    assert "AUD-502" in {one.code for one in report.findings}


async def test_a_model_without_a_transcript_tells_nothing(stage: Stage) -> None:
    await stage.be_honest()
    report = await stage.audit(AuditInputs(model=packaged_model()))
    assert report.accepted
    assert "AUD-326" in {one.code for one in report.findings}
