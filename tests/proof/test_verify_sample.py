"""Verification of a bundle of sampled cells: steps 1 to 5 and 7, and the report.

The receipt is a stand-in where a proof of all kinds of cells is needed, which takes minutes
(`tests.sampled_cells`); the released verifier sees it, too, and a real proof.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from platformless.audit.errors import Rejection, Step
from platformless.audit.policy import Acknowledgement
from platformless.audit.sample import SampleReport, sample_coverage, verify_sample
from platformless.audit.sample_expected import (
    BlockHash,
    ContextPlace,
    ExpectedSample,
    NamedModel,
    Unchecked,
)
from platformless.audit.verify import Policy, verify_bundle
from platformless.audit.whole_session import verify_aggregate
from platformless.protocol.assurance import SAMPLE_COVERAGE, Assurance, Coverage
from platformless.protocol.bundle import Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import TraceRoot
from platformless.protocol.sample.claim import SampleClaim
from platformless.protocol.transcript import Tokens

from ..sampled_cells import FACTS, StandIn, bundle_of, claim_of
from ..samples import FIRST
from .conftest import BUNDLE, SAMPLED_BUNDLE

CHECKPOINT = replace(FIRST.claim(), trace_root=TraceRoot(b"\x88" * 32))
CLAIM = claim_of(CHECKPOINT)
SAMPLE = bundle_of(CLAIM)
STAND_IN = StandIn()
EXPECTED = ExpectedSample(
    checkpoint=CHECKPOINT,
    beacon=BlockHash(CLAIM.beacon_number, CLAIM.beacon),
    model=NamedModel(CLAIM.terms.weights_root, FACTS),
    context=ContextPlace(0, Tokens(0), CLAIM.layout.positions),
)


def changed(**fields: Any) -> bytes:
    return msgspec.structs.replace(SAMPLE, **fields).encode()


def verified(data: bytes, expected: ExpectedSample = EXPECTED, **policy: Any) -> SampleReport:
    return verify_sample(data, expected, Policy(**policy), STAND_IN)


def test_a_report_says_what_was_shown() -> None:
    report = verified(SAMPLE.encode())
    assert report.claim == CLAIM
    assert [passed.step for passed in report.steps] == list(Step)
    assert (report.shown, report.assurance) == (Assurance.SAMPLED, Assurance.SAMPLED)
    assert report.unchecked == ()
    assert report.least_draws == 2
    covered = {row.name: row.coverage for row in report.coverage}
    assert covered["other cells"] is Coverage.SAMPLED
    assert covered["choice of tokens"] is Coverage.NOT_COVERED
    assert {covered[one.value] for one in Unchecked} == {Coverage.CHECKED}
    document = report.to_json()
    assert document["assurance"] == "sampled"
    assert document["claim"]["cells"][0] == {
        "kind": "EMBEDDING",
        "draws": 2,
        "population": str(100 * 576),
        "tolerance": 0,
    }


@pytest.mark.parametrize(
    "expected",
    [
        replace(EXPECTED, checkpoint=None),
        replace(EXPECTED, beacon=None),
        replace(EXPECTED, model=None),
    ],
)
def test_what_was_not_compared_gives_no_level(expected: ExpectedSample) -> None:
    report = verified(SAMPLE.encode(), expected)
    assert report.shown is None
    (unchecked,) = report.unchecked
    assert report.to_json()["assurance"] is None
    assert report.to_json()["unchecked"] == [unchecked.value]
    rows = {row.name: row.coverage for row in report.coverage}
    assert rows[unchecked.value] is Coverage.NOT_COVERED


def test_where_the_context_begins_is_no_part_of_the_level() -> None:
    report = verified(SAMPLE.encode(), replace(EXPECTED, context=None))
    assert report.shown is Assurance.SAMPLED
    assert report.unchecked == (Unchecked.CONTEXT,)


def test_every_thing_that_may_be_unchecked_has_a_row() -> None:
    assert {one.value for one in Unchecked} <= {row.name for row in SAMPLE_COVERAGE}
    assert sample_coverage(tuple(Unchecked)) == SAMPLE_COVERAGE


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"claim_kind": "session"}, "VER-102"),
        ({"claim_kind": "aggregate"}, "VER-102"),
        ({"assurance": "accounting"}, "VER-103"),
        ({"assurance": "replayed"}, "VER-103"),
        ({"receipt_kind": "fake"}, "VER-201"),
        ({"zkvm": "risc0-zkvm 5.0.0"}, "VER-203"),
        ({"verifier_parameters": bytes(32)}, "VER-203"),
        ({"image_id": bytes(32)}, "VER-301"),
        ({"receipt": b""}, "VER-402"),
        ({"journal": claim_of(CHECKPOINT, draws=3).encode()}, "VER-402"),
        ({"acknowledgement": bytes(65)}, "VER-704"),
    ],
)
def test_each_field_is_rejected_for_its_own_reason(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejection) as caught:
        verified(changed(**fields))
    assert caught.value.code == code


def test_a_journal_that_is_no_sample_claim_is_rejected() -> None:
    class Anything(StandIn):
        def verify(self, *_: Any) -> Any:
            return super().verify(SAMPLE.receipt, SAMPLE.journal, SAMPLE.image, *_[3:])

    for journal in (CHECKPOINT.encode(), SAMPLE.journal[:-32], b""):
        with pytest.raises(Rejection) as caught:
            verify_sample(changed(journal=journal), EXPECTED, Policy(), Anything())
        assert caught.value.code == "VER-501"


def test_no_client_acknowledges_cells() -> None:
    with pytest.raises(Rejection) as caught:
        verified(SAMPLE.encode(), acknowledgement=Acknowledgement(required=True))
    assert caught.value.code == "VER-701"


def test_a_policy_may_trust_no_guest_for_it() -> None:
    with pytest.raises(Rejection) as caught:
        verified(SAMPLE.encode(), images={})
    assert caught.value.code == "VER-301"


def test_no_kind_of_proof_passes_for_another() -> None:
    for verify in (verify_bundle, verify_aggregate):
        with pytest.raises(Rejection) as caught:
            verify(SAMPLE.encode())
        assert caught.value.code == "VER-102"
    with pytest.raises(Rejection) as caught:
        verify_sample(BUNDLE.read_bytes())
    assert caught.value.code == "VER-102"
    assert SessionClaim.decode(Bundle.decode(BUNDLE.read_bytes()).journal).trace_root.is_zero


def test_the_released_verifier_refuses_the_stand_in() -> None:
    with pytest.raises(Rejection) as caught:
        verify_sample(SAMPLE.encode(), EXPECTED)
    assert caught.value.step is Step.STARK


def test_a_real_proof_of_all_kinds_is_accepted() -> None:
    data = SAMPLED_BUNDLE.read_bytes()
    claim = SampleClaim.decode(Bundle.decode(data).journal)
    beacon = BlockHash(claim.beacon_number, claim.beacon)
    model = NamedModel(claim.terms.weights_root, claim.model)
    report = verify_sample(data, ExpectedSample(beacon=beacon, model=model))
    assert report.claim == claim
    assert (report.claim.missing, report.least_draws) == ((), 1)


def test_a_real_proof_is_of_no_other_claim() -> None:
    bundle = Bundle.decode(SAMPLED_BUNDLE.read_bytes())
    claim = SampleClaim.decode(bundle.journal)
    other = replace(claim, trace_root=TraceRoot(b"\x89" * 32)).encode()
    with pytest.raises(Rejection) as caught:
        verify_sample(msgspec.structs.replace(bundle, journal=other).encode())
    assert caught.value.code == "VER-405"
