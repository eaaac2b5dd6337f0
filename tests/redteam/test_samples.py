"""Sampled cells of an honest session: what an audit makes of them, and of their absence.

Receipts of sampled cells are checked by a stand-in (`conftest.stand_in`); the rest is real.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from platformless.audit.session.findings import Severity
from platformless.audit.session.inputs import AuditInputs
from platformless.audit.session.report import AuditReport
from platformless.audit.session.session_policy import AuditPolicy
from platformless.engine.model import packaged_model
from platformless.protocol.assurance import Assurance
from platformless.protocol.digests import ProofHash
from platformless.protocol.sample.beacon import is_drawn
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.transcript import State, Tokens
from platformless.storage.cids import BlobId
from tests.data.make_traced import AGGREGATE
from tests.sampled_cells import bundle_of

from .sampling import (
    bill,
    honest_claim,
    mine_beacons,
    publish,
    sample_honestly,
    trusted_model,
    trusting,
)
from .stage import Stage

SAMPLED: dict[str, Any] = {"minimum_assurance": Assurance.SAMPLED, "require_samples": True}


def states(report: AuditReport) -> list[str]:
    return [one.sample_state for one in report.checkpoints]


def codes(report: AuditReport, severity: Severity) -> set[str]:
    return {one.code for one in report.findings if one.severity is severity}


def arithmetic(report: AuditReport) -> tuple[str, str]:
    (row,) = [one for one in report.coverage if one.name == "model arithmetic"]
    return row.coverage.value, row.meaning


async def test_an_honest_session_is_sampled(stage: Stage) -> None:
    await sample_honestly(stage, 0, 1, draws=3)
    report = await stage.audit(trusting(stage, sample_draws=3, **SAMPLED))
    assert report.accepted, report.findings
    assert report.assurance is Assurance.SAMPLED
    assert states(report) == ["accepted", "accepted"]
    assert report.tokens.sampled == report.tokens.claimed == 1_000
    coverage, meaning = arithmetic(report)
    assert coverage == "sampled"
    for part in ("1,000 of 1,000", "3 draws of each kind", "1-(1-f)^3", "chosen", "not shown"):
        assert part in meaning
    assert "AUD-345" in codes(report, Severity.NOTE)
    shown = report.to_json()["checkpoints"][1]["sample"]
    assert (shown["state"], shown["least_draws"], shown["kinds"]) == ("accepted", 3, 21)
    assert shown["first_entry"] == 8


async def test_with_the_transcript_contexts_are_checked(stage: Stage) -> None:
    await sample_honestly(stage, 0, 1)
    report = await stage.audit(replace(trusting(stage, **SAMPLED), transcript=stage.transcript))
    assert report.accepted, report.findings
    assert report.assurance is Assurance.SAMPLED
    assert "AUD-345" not in codes(report, Severity.NOTE)


async def test_without_facts_of_the_model_nothing_is_sampled(stage: Stage) -> None:
    await sample_honestly(stage, 0, 1)
    inputs = AuditInputs(index=stage.index())
    report = await stage.audit(inputs)
    assert report.accepted, report.findings
    assert report.assurance is Assurance.ACCOUNTING
    assert states(report) == ["unchecked facts"] * 2
    assert "AUD-343" in codes(report, Severity.NOTE)
    assert arithmetic(report)[0] == "not covered"
    strict = await stage.audit(replace(inputs, policy=AuditPolicy(**SAMPLED)))
    assert codes(strict, Severity.ERROR) == {"AUD-601", "AUD-608"}


async def test_the_model_file_tells_its_facts(stage: Stage) -> None:
    """And then it was not given for nothing, though there is no transcript to replay."""
    await sample_honestly(stage, 0, 1)
    inputs = AuditInputs(policy=AuditPolicy(**SAMPLED), index=stage.index(), model=packaged_model())
    report = await stage.audit(inputs)
    assert report.accepted, report.findings
    assert report.assurance is Assurance.SAMPLED
    assert not codes(report, Severity.WARNING) & {"AUD-326"}


async def test_a_file_that_contradicts_the_policy_is_told(stage: Stage) -> None:
    await sample_honestly(stage, 0, 1)
    root, _ = trusted_model()
    policy = AuditPolicy(models={root: ModelFactsDigest(b"\x01" * 32)})
    inputs = AuditInputs(policy=policy, index=stage.index(), model=packaged_model())
    report = await stage.audit(inputs)
    assert codes(report, Severity.ERROR) == {"AUD-401", "VER-809"}


async def test_a_missing_proof_is_a_warning_that_the_policy_judges(stage: Stage) -> None:
    await sample_honestly(stage, 0)
    report = await stage.audit(trusting(stage))
    assert report.accepted, report.findings
    assert report.assurance is Assurance.ACCOUNTING
    assert states(report) == ["accepted", "missing"]
    assert codes(report, Severity.WARNING) >= {"AUD-341"}
    coverage, meaning = arithmetic(report)
    assert coverage == "not covered"
    assert f"{report.tokens.sampled:,} of 1,000" in meaning


async def test_a_file_that_nobody_has_is_missing(stage: Stage) -> None:
    await sample_honestly(stage, 0, 1)
    nothing = BlobId.of(b"never uploaded")
    stage.samples[1] = replace(stage.samples[1], cid=str(nothing))
    report = await stage.audit(trusting(stage))
    assert states(report) == ["accepted", "missing"]
    stage.samples[1] = replace(stage.samples[1], cid=str(BlobId(nothing.hash, 17 << 20)))
    assert states(await stage.audit(trusting(stage))) == ["accepted", "missing"]


async def test_a_rate_asks_for_those_that_are_drawn(stage: Stage) -> None:
    await bill(stage)
    claims = [await honest_claim(stage, number) for number in range(2)]
    rate = 2**20
    assert not any(is_drawn(one.trace_root, one.state_after, one.beacon, rate) for one in claims), (
        "one in a million: begin again"
    )
    report = await stage.audit(trusting(stage, sample_one_in=rate, **SAMPLED))
    assert report.accepted, report.findings
    assert states(report) == ["not drawn", "not drawn"]
    assert report.assurance is Assurance.SAMPLED
    assert (report.tokens.sampled, report.tokens.spared) == (0, 1_000)
    assert "1,000 are in checkpoints that were not drawn" in arithmetic(report)[1]
    # What is proven all the same is checked.
    await publish(stage, 0, replace(claims[0], trace_root=claims[1].trace_root))
    await publish(stage, 1, claims[1])
    report = await stage.audit(trusting(stage, sample_one_in=rate))
    assert states(report) == ["rejected", "accepted"]
    assert codes(report, Severity.ERROR) == {"VER-803"}


async def test_cells_are_drawn_by_a_block_that_is_still_to_come(stage: Stage) -> None:
    stage.commit_to_traces()
    await stage.be_honest()
    report = await stage.audit(trusting(stage))
    assert report.accepted, report.findings
    assert states(report)[-1] == "waiting"
    assert "AUD-342" in codes(report, Severity.NOTE)
    assert report.assurance is Assurance.ACCOUNTING


async def test_files_at_hand_stand_for_those_of_the_index(stage: Stage) -> None:
    await bill(stage)
    files = [bundle_of(await honest_claim(stage, number)).encode() for number in range(2)]
    elsewhere = State.initial(stage.header).extend(stage.header, stage.recorded_entries(1)[:3])
    claim = replace(await honest_claim(stage, 0), state_after=elsewhere.digest)
    foreign = bundle_of(claim).encode()
    inputs = replace(trusting(stage, **SAMPLED), index=None, samples=(*files, foreign, b"nothing"))
    report = await stage.audit(inputs)
    assert report.accepted, report.findings
    assert states(report) == ["accepted", "accepted"]
    assert [one.code for one in report.findings].count("AUD-344") == 2


async def test_an_index_that_the_host_did_not_sign_names_no_samples(stage: Stage) -> None:
    await sample_honestly(stage, 0, 1)
    stage.samples[0] = stage.samples[1]
    inputs = replace(trusting(stage), index=stage.index(key=b"\x31" * 32))
    report = await stage.audit(inputs)
    assert states(report) == ["missing", "missing"]
    assert codes(report, Severity.ERROR) == {"AUD-303"}


async def test_checkpoints_without_a_trace_need_no_sample(stage: Stage) -> None:
    await stage.be_honest()
    report = await stage.audit()
    assert states(report) == ["untraced", "untraced"]
    assert report.assurance is Assurance.ACCOUNTING
    strict = await stage.audit(AuditInputs(policy=AuditPolicy(**SAMPLED)))
    assert codes(strict, Severity.ERROR) == {"AUD-601", "AUD-608"}


async def test_tokens_before_the_context_are_not_covered(stage: Stage) -> None:
    """Where a client began anew within a checkpoint, the first part of it is in no cell."""
    await bill(stage)
    claim = await honest_claim(stage, 0)
    await publish(stage, 0, replace(claim, tokens_before=Tokens(220), first_entry=2))
    await publish(stage, 1, await honest_claim(stage, 1))
    report = await stage.audit(trusting(stage))
    assert report.accepted, report.findings
    assert report.assurance is Assurance.ACCOUNTING
    assert report.tokens.sampled == 780
    shown = report.to_json()["checkpoints"][0]["sample"]
    assert shown["covered_tokens"] == 480


async def test_one_proof_of_all_checkpoints_has_the_submitted_traces(stage: Stage) -> None:
    await sample_honestly(stage, 0, 1)
    inputs = replace(trusting(stage, **SAMPLED), whole_session=AGGREGATE.read_bytes())
    report = await stage.audit(inputs)
    assert report.accepted, report.findings
    assert states(report) == ["accepted", "accepted"]
    assert report.assurance is Assurance.SAMPLED


async def test_a_trace_root_of_which_no_submitted_bundle_tells_counts_for_nothing(
    stage: Stage,
) -> None:
    stage.commit_to_traces()
    await stage.open()
    for number, bundle in enumerate(stage.bundles):
        await stage.submit(number, proof_hash=ProofHash.of(bundle), proof_cid="")
    await mine_beacons(stage)
    for number in range(2):
        await publish(stage, number, await honest_claim(stage, number))
    inputs = replace(trusting(stage), whole_session=AGGREGATE.read_bytes())
    report = await stage.audit(inputs)
    assert states(report) == ["missing", "missing"]
    assert report.assurance is Assurance.ACCOUNTING


async def test_an_unproven_checkpoint_has_no_sampled_cells(stage: Stage) -> None:
    stage.commit_to_traces()
    await stage.open()
    await stage.submit(0, proof_cid="", proof_hash=ProofHash.of(stage.bundles[0]))
    report = await stage.audit(trusting(stage))
    assert states(report) == ["unknown"]
    assert report.to_json()["checkpoints"][0]["sample"] is None


@pytest.mark.parametrize("draws", [1, 24])
async def test_least_draws_are_the_policy_s(stage: Stage, draws: int) -> None:
    await sample_honestly(stage, 0, 1, draws=draws)
    report = await stage.audit(trusting(stage, sample_draws=draws, **SAMPLED))
    assert report.accepted, report.findings
