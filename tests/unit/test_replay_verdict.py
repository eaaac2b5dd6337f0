"""What follows from margins: pure, with a calibration made up here."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.audit.replay.calibration import (
    Calibration,
    SamplerClass,
    SetupCounts,
    bound_of_mean,
    released_calibration,
)
from platformless.audit.replay.checks import Agreement, check_answers, check_prompts
from platformless.audit.replay.modes import ReplayMode, WantedMode, choose_mode
from platformless.audit.replay.verdict import (
    REJECT_BELOW,
    Outcome,
    Rule,
    judge_exact,
    judge_statistical,
)
from platformless.protocol.engine_record import EngineRecord
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.transcript import Entry, Kind, Sampler

BUILD = "llama-cpp-python 1.2.3, system 00000000"
SETTINGS = EngineRecord(
    llama_cpp=BUILD,
    gpu_layers=0,
    threads=1,
    batch_tokens=32,
    sequences=8,
    kv_type="f16",
    flash_attention=True,
)
GREEDY, NARROW = SamplerClass.GREEDY, SamplerClass.NARROW
CALIBRATION = Calibration(
    format="replay-calibration/1",
    model="made up",
    build=BUILD,
    cap=1.0,
    edges=[0.1, 0.5, 1.0],
    limit_factor=3.0,
    tokens_for_a_verdict=80,
    classes={
        which: [
            SetupCounts(setup="one", counts=[9800, 190, 10, 0], largest=0.3),
            SetupCounts(setup="two", counts=[9900, 99, 1, 0], largest=0.2),
        ]
        for which in SamplerClass
    },
)


def honest_margins(count: int, rng: random.Random) -> list[float]:
    return [rng.choice((0.05, 0.05, 0.3)) if rng.random() < 0.02 else 0.0 for _ in range(count)]


def test_honest_margins_are_consistent() -> None:
    rng = random.Random(1)
    for _ in range(200):
        margins = honest_margins(300, rng)
        verdict = judge_statistical(margins, [NARROW] * 300, CALIBRATION)
        assert verdict.outcome is Outcome.CONSISTENT


def test_margins_of_a_stranger_are_rejected_by_their_mean() -> None:
    margins = [0.0, 0.0, 0.6, 0.3] * 25
    verdict = judge_statistical(margins, [GREEDY] * 100, CALIBRATION)
    assert verdict.outcome is Outcome.REJECTED
    assert verdict.rule is Rule.MEAN
    assert verdict.p_value < REJECT_BELOW
    assert verdict.mismatches == 50


def test_a_single_token_out_of_reach_is_rejected_by_itself() -> None:
    verdict = judge_statistical([0.0] * 199 + [0.95], [GREEDY] * 200, CALIBRATION)
    assert verdict.outcome is Outcome.REJECTED
    assert verdict.rule is Rule.SINGLE
    assert verdict.margin_limit == pytest.approx(0.9)
    # Rule of three: 200 tokens, each seen in 20,000.
    assert verdict.false_positive_rate == pytest.approx(200 * 3 / 20_000)


def test_few_honest_tokens_are_no_verdict() -> None:
    for judged in (
        judge_statistical([0.0] * 10, [GREEDY] * 10, CALIBRATION),
        judge_exact([0.0] * 10, CALIBRATION),
    ):
        assert judged.outcome is Outcome.TOO_FEW_TOKENS


def test_few_tokens_are_enough_to_reject() -> None:
    assert judge_statistical([5.0] * 5, [GREEDY] * 5, CALIBRATION).outcome is Outcome.REJECTED
    assert judge_exact([0.001], CALIBRATION).outcome is Outcome.REJECTED


def test_exact_allows_no_other_token() -> None:
    assert judge_exact([0.0] * 100, CALIBRATION).outcome is Outcome.CONSISTENT
    verdict = judge_exact([0.0] * 99 + [1e-4], CALIBRATION)
    assert (verdict.outcome, verdict.rule) == (Outcome.REJECTED, Rule.EXACT)
    assert verdict.mismatches == 1


@given(st.integers(1, 1000), st.floats(0, 1), st.sampled_from(SamplerClass))
def test_the_bound_is_a_probability_and_falls_with_the_score(
    tokens: int, share: float, which: SamplerClass
) -> None:
    smaller = bound_of_mean(CALIBRATION, {which: tokens}, share * tokens / 2).p_value
    larger = bound_of_mean(CALIBRATION, {which: tokens}, share * tokens).p_value
    assert 0 <= larger <= smaller <= 1


def test_the_bound_holds_for_what_it_was_calibrated_on() -> None:
    """No more honest transcripts fall under a level than the level says."""
    rng = random.Random(2)
    found = [
        bound_of_mean(CALIBRATION, {NARROW: 100}, sum(honest_margins(100, rng))).p_value
        for _ in range(1000)
    ]
    for level in (0.5, 0.1, 0.01):
        assert sum(one <= level for one in found) <= level * len(found)


@pytest.mark.parametrize(
    ("sampler", "which"),
    [
        (Sampler(), GREEDY),
        (Sampler(temperature=0.8, top_k=40), NARROW),
        (Sampler(temperature=0.7, min_p=0.05), NARROW),
        (Sampler(temperature=0.7), SamplerClass.WIDE),
        (Sampler(temperature=1.2, top_k=40), SamplerClass.WIDE),
    ],
)
def test_classes_go_by_how_many_candidates_there_are(sampler: Sampler, which: SamplerClass) -> None:
    assert SamplerClass.of(sampler) is which


def test_the_released_calibration_is_whole() -> None:
    calibration = released_calibration()
    for which in SamplerClass:
        assert calibration.tokens(which) > 2000
        for setup in calibration.classes[which]:
            assert len(setup.counts) == len(calibration.edges) + 1
    assert calibration.edges == sorted(calibration.edges)
    assert calibration.edges[-1] == 1


def test_the_mode_says_why() -> None:
    assert choose_mode(WantedMode.AUTO, SETTINGS, BUILD).mode is ReplayMode.EXACT
    choice = choose_mode(WantedMode.AUTO, None, BUILD)
    assert choice.mode is ReplayMode.STATISTICAL
    assert "not recorded" in choice.reason
    assert choose_mode(WantedMode.STATISTICAL, SETTINGS, BUILD).mode is ReplayMode.STATISTICAL
    assert choose_mode(WantedMode.EXACT, None, BUILD).mode is ReplayMode.EXACT


class Letters:
    """A vocabulary of single bytes."""

    def tokenize(self, text: str, *, special: bool = False) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(text.encode())

    def piece(self, token: int, *, special: bool = False) -> bytes:  # noqa: ARG002
        return bytes([token])


class Plain:
    """A chat format without markers."""

    def opening(self, messages: object) -> tuple[int, ...]:
        return tuple("".join(one.content for one in messages).encode())  # type: ignore[attr-defined]

    def continuation(self, messages: object) -> tuple[int, ...]:
        return tuple(messages[-1].content.encode())  # type: ignore[index]


def answer(tokens: str, text: str) -> Entry:
    return Entry(Kind.COMPLETION, tuple(tokens.encode()), text)


@pytest.mark.parametrize(
    ("tokens", "text", "agreement"),
    [
        ("yes", "yes", Agreement.SAME),
        ("yes", "ye", Agreement.SAME),  # the last token began a stop string
        ("yes", "y", Agreement.SAME),  # the "e" was held, and let out no more than the "y"
        ("yes", "yes!", Agreement.DIFFERENT),
        ("yes", "yeS", Agreement.DIFFERENT),
        ("yes", "", Agreement.DIFFERENT),
        ("é", "é", Agreement.SAME),
    ],
)
def test_an_answers_tokens_spell_its_text(tokens: str, text: str, agreement: Agreement) -> None:
    assert check_answers([answer(tokens, text)], Letters())[0].agreement is agreement


def test_the_first_token_that_differs_is_named() -> None:
    (check,) = check_answers([answer("lighthouse", "lightHouse")], Letters())
    assert (check.entry, check.token) == (0, 5)


def prompt(text: str, tokens: str, continues: bool = False) -> Entry:
    said = Prompt((ChatMessage("user", text),), continues)
    return Entry(Kind.PROMPT, tuple(tokens.encode()), said.text())


def test_prompts_are_checked_by_the_template_in_their_conversation() -> None:
    entries = [
        prompt("a", "a"),
        answer("b", "b"),
        prompt("c", "c", continues=True),
        prompt("d", "x"),
    ]
    checks = check_prompts(entries, Plain(), Letters())
    assert [one.agreement for one in checks] == [
        Agreement.SAME,
        Agreement.SAME,
        Agreement.DIFFERENT,
    ]
    assert Counter(one.entry for one in checks) == {0: 1, 2: 1, 3: 1}
    unchecked = check_prompts(entries[:1], None, Letters())
    assert unchecked[0].agreement is Agreement.NOT_CHECKED


def test_a_text_of_another_format_is_tokenized_as_it_is() -> None:
    entries = [
        Entry(Kind.PROMPT, (65, 66), "AB"),
        answer("b", "b"),
        prompt("c", "c", continues=True),
    ]
    checks = check_prompts(entries, Plain(), Letters())
    assert [one.agreement for one in checks] == [Agreement.SAME, Agreement.NOT_CHECKED]
