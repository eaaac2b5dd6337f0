"""Metering: every streamed token counted once, checkpoints where the contract takes them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.node.errors import DepositUsedUp
from platformless.node.sessions.metering import ClaimRules, Cut, Meter
from platformless.protocol.delta import Message, merge
from platformless.protocol.errors import TranscriptError, WindowError
from platformless.protocol.transcript import Entry, Kind, Sampler, Tokens
from tests.samples import HEADER

RULES = ClaimRules(Tokens(100), Tokens(1000), Tokens(5000))
SAMPLER = Sampler(0.7, 40, 0.95)


def prompt(text: str = "Q") -> tuple[Entry, Message]:
    return Entry(Kind.PROMPT, (1, 2), text), Message("user", text, 1)


def completion(count: int, text: str = "A", *, partial: bool = False) -> tuple[Entry, Message]:
    entry = Entry(Kind.COMPLETION, tuple(range(count)), text, SAMPLER)
    return entry, Message("assistant", text, 2, partial)


def fed(meter: Meter, *counts: int) -> Meter:
    """Turns with so many completion tokens each."""
    for count in counts:
        meter = meter.add(*prompt()).add(*completion(count))
    return meter


def start() -> Meter:
    return Meter.start(HEADER, RULES)


def test_only_completion_tokens_are_counted() -> None:
    meter = fed(start(), 30, 20)
    assert meter.state.tokens == meter.unclaimed == 50
    assert meter.tokens_left == 4950


@pytest.mark.parametrize(("tokens", "takes"), [(99, False), (999, False), (1000, True)])
def test_the_first_checkpoint_waits_for_the_proof_interval(tokens: int, takes: bool) -> None:
    assert fed(start(), tokens).can_cut() is takes


def test_later_checkpoints_wait_for_the_minimum_and_are_never_padded() -> None:
    cut, meter = fed(start(), 1000).cut()
    assert cut.window.claim().tokens == 1000
    assert not fed(meter, 99).can_cut()
    assert fed(meter, 99, 1).can_cut()
    cut, meter = fed(meter, 99, 1).cut()
    claim = cut.window.claim()
    assert (claim.tokens_before, claim.tokens_after, claim.checkpoint) == (1000, 1100, 1)
    assert meter.claimed == 1100
    assert meter.unclaimed == 0


def test_a_checkpoint_is_due_by_the_operators_setting() -> None:
    assert not fed(start(), 999).is_due(Tokens(500))
    assert fed(start(), 1000).is_due(Tokens(500))
    assert not fed(start(), 1000).is_due(Tokens(2000))


def test_the_claim_carries_the_deltas_digest() -> None:
    cut, _ = fed(start(), 1000).cut()
    assert cut.window.claim().delta_digest == cut.delta.digest()
    assert not cut.window.claim().delta_digest.is_zero
    assert (cut.delta.tokens_before, cut.delta.tokens_after) == (0, 1000)


def test_an_answer_may_be_cut_in_its_middle() -> None:
    meter = start().add(*prompt()).add(*completion(1000, "Once ", partial=True))
    first, meter = meter.cut()
    meter = meter.add(*completion(150, "upon a time"))
    second, _ = meter.cut()
    assert first.delta.messages[-1].partial
    conversation = merge([first.delta, second.delta])
    assert conversation[-1].content == "Once upon a time"


def test_parts_of_one_answer_are_one_message() -> None:
    meter = start().add(*prompt())
    for text in ("a", "b", "c"):
        meter = meter.add(*completion(400, text, partial=text != "c"))
    cut, _ = meter.cut()
    assert [message.content for message in cut.delta.messages] == ["Q", "abc"]
    assert not cut.delta.messages[-1].partial


def test_nothing_follows_the_end() -> None:
    meter = fed(start(), 10).end()
    assert meter.end() == meter
    with pytest.raises(TranscriptError):
        meter.add(*prompt())


def test_nothing_pending_is_no_checkpoint() -> None:
    _, meter = fed(start(), 1000).cut()
    with pytest.raises(WindowError):
        meter.cut()


def test_a_deposit_that_is_used_up_leaves_nothing() -> None:
    meter = fed(start(), 5000)
    assert meter.tokens_left == 0
    with pytest.raises(DepositUsedUp):
        meter.add(*completion(1))
    assert meter.add(*prompt()).end().state.tokens == 5000


@given(st.lists(st.integers(0, 700), max_size=12), st.integers(100, 2000))
def test_checkpoints_join_and_claim_each_token_once(counts: list[int], size: int) -> None:
    meter = replace(start(), rules=replace(RULES, affordable=Tokens(10**6)))
    cuts = list[Cut]()
    for count in counts:
        meter = fed(meter, count)
        if meter.is_due(Tokens(size)):
            cut, meter = meter.cut()
            cuts.append(cut)
    claims = [cut.window.claim() for cut in cuts]
    for before, after in itertools.pairwise(claims):
        assert after.state_before == before.state_after
        assert after.tokens_before == before.tokens_after
        assert after.checkpoint == before.checkpoint + 1
    assert sum(claim.tokens for claim in claims) == meter.claimed
    assert meter.claimed + meter.unclaimed == sum(counts)
    assert all(claim.tokens >= 100 for claim in claims)
