"""What an auditor expects of sampled cells: each thing that is not so has its own code."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from platformless.audit.errors import Rejection, Step, UnexpectedClaim
from platformless.audit.policy import ExpectedChain
from platformless.audit.sample_expected import (
    BlockHash,
    ContextPlace,
    ExpectedSample,
    NamedModel,
    Unchecked,
)
from platformless.protocol.digests import (
    Address,
    HeaderDigest,
    ModelId,
    StateDigest,
    TraceRoot,
    WeightsRoot,
)
from platformless.protocol.sample.claim import SampleClaim, sampled_cells
from platformless.protocol.sample.facts import ModelFactsDigest
from platformless.protocol.sample.plan import COVERED_KINDS, SamplePlan
from platformless.protocol.trace.cells import SampledKind, Span
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.trace.layout import TraceLayout
from platformless.protocol.transcript import Tokens

from ..sampled_cells import BEACON, FACTS, claim_of, plan_of
from ..samples import SECOND

CHECKPOINT = replace(SECOND.claim(), trace_root=TraceRoot(b"\x88" * 32))
CLAIM = claim_of(CHECKPOINT, first_entry=2, tokens_before=50, positions=53)
EXPECTED = ExpectedSample(
    checkpoint=CHECKPOINT,
    beacon=BlockHash(CLAIM.beacon_number, BEACON),
    model=NamedModel(CHECKPOINT.terms.weights_root, FACTS),
    context=ContextPlace(2, Tokens(50), 53),
    least_draws=2,
    terms=(ExpectedChain(CHECKPOINT.terms.chain_id),),
)
OTHER = b"\xee" * 32


def planned(plan: SamplePlan) -> dict[str, Any]:
    return {"covered": plan.covered, "cells": sampled_cells(plan, CLAIM.layout)}


def terms(**changes: Any) -> dict[str, Any]:
    return {"terms": replace(CLAIM.terms, **changes)}


def longer(positions: int) -> dict[str, Any]:
    layout, plan = TraceLayout(CLAIM.layout.shape, positions), plan_of(2, positions)
    return {"layout": layout, "covered": plan.covered, "cells": sampled_cells(plan, layout)}


EVERY_KIND: dict[SampledKind, int] = dict.fromkeys(COVERED_KINDS, 2)
WITHOUT_SOFTMAX = {**EVERY_KIND, SampledKind.SOFTMAX: 0}
FEWER_LOGITS = {**EVERY_KIND, SampledKind.LOGITS: 1}

MUTATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "chain": (terms(chain_id=1), "VER-601"),
    "header": ({"header_digest": HeaderDigest(OTHER)}, "VER-801"),
    "session": (terms(session_id=8), "VER-801"),
    "host": (terms(host=Address(OTHER[:20])), "VER-801"),
    "client": (terms(client=Address(OTHER[:20])), "VER-801"),
    "marketplace": (terms(marketplace=Address(OTHER[:20])), "VER-801"),
    "model id": (terms(model_id=ModelId(OTHER)), "VER-801"),
    "weights root": (terms(weights_root=WeightsRoot(OTHER)), "VER-801"),
    "price": (terms(price=1), "VER-801"),
    "state after": ({"state_after": StateDigest(OTHER)}, "VER-802"),
    "tokens after": ({"tokens_after": Tokens(99)}, "VER-802"),
    "trace root": ({"trace_root": TraceRoot(OTHER)}, "VER-803"),
    "block": ({"beacon_number": CLAIM.beacon_number + 1}, "VER-805"),
    "block hash": ({"beacon": Beacon(OTHER)}, "VER-805"),
    "a kind": (planned(SamplePlan.of(WITHOUT_SOFTMAX, CLAIM.covered)), "VER-806"),
    "draws": (planned(SamplePlan.of(FEWER_LOGITS, CLAIM.covered)), "VER-807"),
    "first positions": (planned(SamplePlan(CLAIM.plan.draws, Span(3, 50))), "VER-808"),
    "last positions": (planned(SamplePlan(CLAIM.plan.draws, Span(0, 52))), "VER-808"),
    "model facts": ({"model": ModelFactsDigest(OTHER)}, "VER-809"),
    "first entry": ({"first_entry": 3}, "VER-810"),
    "tokens before": ({"tokens_before": Tokens(51)}, "VER-810"),
    "positions": (longer(54), "VER-810"),
}
FREE = {"settings", "reference", "layout"}
"""Words that no expectation compares: the guest binds them to one another; of the layout the sizes
are bound by the model's facts."""


def code_of(claim: SampleClaim, expected: ExpectedSample = EXPECTED) -> str:
    with pytest.raises(Rejection) as caught:
        expected.verify(claim)
    assert caught.value.step is Step.EXPECTATION
    assert caught.value.expected is not None
    assert caught.value.got is not None
    return caught.value.code


def test_what_is_expected_passes() -> None:
    EXPECTED.verify(CLAIM)
    assert EXPECTED.unknown == ()


@pytest.mark.parametrize(("change", "code"), MUTATIONS.values(), ids=MUTATIONS)
def test_each_difference_has_its_own_code(change: dict[str, Any], code: str) -> None:
    assert code_of(replace(CLAIM, **change)) == code


def test_every_word_of_the_claim_is_in_the_table() -> None:
    changed = {name for change, _ in MUTATIONS.values() for name in change}
    assert {field.name for field in fields(SampleClaim)} - changed <= FREE


def test_a_zero_root_is_no_trace_even_where_the_checkpoint_has_none() -> None:
    untraced = replace(EXPECTED, checkpoint=replace(CHECKPOINT, trace_root=TraceRoot.zero()))
    assert code_of(replace(CLAIM, trace_root=TraceRoot.zero()), untraced) == "VER-804"
    assert code_of(CLAIM, untraced) == "VER-803"
    assert code_of(replace(CLAIM, trace_root=TraceRoot.zero()), ExpectedSample()) == "VER-804"


def test_the_model_is_that_of_the_weights_root() -> None:
    """Models of one shape have the same facts."""
    other = replace(EXPECTED, model=NamedModel(WeightsRoot(OTHER), FACTS))
    assert code_of(CLAIM, other) == "VER-809"


def test_the_first_difference_in_the_documented_order_is_told() -> None:
    everything: dict[str, Any] = {}
    for change, _ in reversed(MUTATIONS.values()):
        everything |= change
    order = [
        ("terms", "VER-601"),
        ("header_digest", "VER-801"),
        ("state_after", "VER-802"),
        ("tokens_after", "VER-802"),
        ("trace_root", "VER-803"),
        ("beacon_number", "VER-805"),
        ("beacon", "VER-805"),
        ("cells", "VER-806"),
        ("model", "VER-809"),
        ("first_entry", "VER-810"),
    ]
    everything |= MUTATIONS["a kind"][0] | {"layout": CLAIM.layout}
    for field, code in order:
        assert code_of(replace(CLAIM, **everything)) == code
        everything.pop(field)
        if field == "cells":
            everything.pop("covered")


@pytest.mark.parametrize(
    ("given", "unknown"),
    [
        ({"checkpoint": None}, Unchecked.CHECKPOINT),
        ({"beacon": None}, Unchecked.BEACON),
        ({"model": None}, Unchecked.FACTS),
        ({"context": None}, Unchecked.CONTEXT),
    ],
)
def test_what_is_not_known_is_not_compared_and_told(
    given: dict[str, Any], unknown: Unchecked
) -> None:
    expected = replace(EXPECTED, **given)
    expected.verify(CLAIM)
    assert expected.unknown == (unknown,)


def test_kinds_and_positions_are_looked_at_whatever_is_known() -> None:
    for name in ("a kind", "first positions"):
        change, code = MUTATIONS[name]
        assert code_of(replace(CLAIM, **change), ExpectedSample()) == code
    with pytest.raises(UnexpectedClaim):
        ExpectedSample(terms=(ExpectedChain(1),)).verify(CLAIM)
