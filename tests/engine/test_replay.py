"""Replays by the real engine: honest transcripts pass, every kind of cheating has its code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from platformless.audit.replay.modes import ReplayMode
from platformless.audit.replay.replaying import replay_transcript
from platformless.audit.replay.report import ReplayReport
from platformless.audit.replay.verdict import Outcome, Rule
from platformless.engine.chat import ChatFormat
from platformless.engine.context import Context
from platformless.engine.engine import Engine
from platformless.engine.errors import (
    ContextTooLong,
    ForeignTokens,
    NothingBefore,
    SamplerNotUsable,
)
from platformless.engine.judging import JudgedEnd, JudgedToken, judged
from platformless.engine.model import Model
from platformless.engine.replay import Replayer, exact_settings, statistical_settings
from platformless.engine.replay_plan import contexts_of
from platformless.engine.request import GenerationRequest
from platformless.engine.settings import KvType
from platformless.engine.weights import weights_of
from platformless.protocol.digests import Seed, WeightsRoot
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.record import SessionRecord
from platformless.protocol.transcript import Entry, Kind, Sampler
from tests.samples import HEADER, TERMS

from .answers import answer
from .replays import (
    DRAWN,
    EXACT,
    GREEDY,
    Told,
    recorded_settings,
    requantised,
    transcript,
    unbound,
    with_tokens,
)

TOKENS = 48
RECORD = Path(__file__).parents[1] / "data" / "session-1000.json"
Transcript = Sequence[Entry]


@dataclass(frozen=True)
class Honest:
    greedy: Transcript
    drawn: Transcript


@pytest.fixture(scope="module")
def host() -> Iterator[Engine]:
    """One that can be replayed bit for bit."""
    engine = Engine.open(EXACT)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def honest(host: Engine) -> Honest:
    """Two sessions, answered beside each other."""

    async def both() -> tuple[Transcript, Transcript]:
        return await asyncio.gather(
            transcript(host, GREEDY, TOKENS), transcript(host, DRAWN, TOKENS)
        )

    return Honest(*asyncio.run(both()))


@pytest.fixture(scope="module")
def exact_replayer() -> Iterator[Replayer]:
    with Replayer.open(exact_settings(None)) as replayer:
        yield replayer


def exact(entries: Transcript, model: Path, **changes: object) -> ReplayReport:
    settings = replace(recorded_settings(), **changes)  # type: ignore[arg-type]
    return replay_transcript(unbound(), entries, model, settings)


def statistical(entries: Transcript, model: Path) -> ReplayReport:
    return replay_transcript(unbound(), entries, model, recorded_settings(), mode="statistical")


def codes(report: ReplayReport) -> set[str]:
    return {one.code for one in report.findings}


@pytest.mark.parametrize("which", ["greedy", "drawn"])
def test_an_honest_transcript_is_replayed_bit_for_bit(
    honest: Honest, model_path: Path, which: str
) -> None:
    entries: Transcript = getattr(honest, which)
    seen: list[tuple[int, int]] = []
    report = replay_transcript(
        unbound(), entries, model_path, recorded_settings(), lambda *one: seen.append(one)
    )
    billed = sum(entry.billed for entry in entries)
    assert report.mode is ReplayMode.EXACT
    assert report.findings == () or codes(report) == {"AUD-420"}
    assert report.accepted
    assert report.verdict.mismatches == 0
    assert list(report.tokens.token) == [
        token for entry in entries if entry.kind is Kind.COMPLETION for token in entry.tokens
    ]
    assert list(report.tokens.position) == list(range(billed))
    assert [one.agreement for one in (*report.prompts, *report.answers)] == ["same"] * 4
    assert seen[-1][0] == seen[-1][1] == report.context_tokens


def test_what_the_host_had_are_the_bits_of_the_replay(
    honest: Honest, exact_replayer: Replayer
) -> None:
    """The whole rows, not just the choice: decoded one token at a time and in chunks."""
    context = contexts_of(honest.greedy)[0]
    rows = {
        row.place: row.logits.copy()
        for row in exact_replayer.rows([context])
        if row.place < context.answers[0].start + 12
    }
    model = Model.load(EXACT)
    alone = Context(model, EXACT)
    start = context.answers[0].start
    alone.decode_prompt(0, context.tokens[:start], 0, want_logits=True)
    assert (alone.logits(start - 1) == rows[start]).all()
    for place in range(start + 1, start + 12):
        alone.decode_step([(0, context.tokens[place - 1], place - 1)])
        assert (alone.logits(0) == rows[place]).all()
    alone.close()
    model.close()


def test_an_honest_transcript_passes_statistically(honest: Honest, model_path: Path) -> None:
    for entries in (honest.greedy, honest.drawn):
        report = statistical(entries, model_path)
        assert report.mode is ReplayMode.STATISTICAL
        assert report.accepted
        assert "AUD-421" in codes(report)
        assert report.verdict.p_value > 1e-3


@pytest.mark.parametrize("sampler", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_a_requantised_model_is_caught(model_path: Path, tmp_path: Path, sampler: Sampler) -> None:
    other = requantised(tmp_path, model_path)
    engine = Engine.open(replace(EXACT, model_path=other))
    try:
        entries = asyncio.run(transcript(engine, sampler, TOKENS))
    finally:
        engine.close()
    report = exact(entries, model_path)
    assert codes(report) >= {"AUD-410"}
    assert report.verdict.outcome is Outcome.REJECTED
    assert report.verdict.mismatches > 1


async def test_another_system_prompt_is_caught(host: Engine, model_path: Path) -> None:
    entries = await transcript(host, GREEDY, TOKENS, Told(system="You are a rude pirate. Refuse."))
    assert "AUD-410" in codes(exact(entries, model_path))
    report = statistical(entries, model_path)
    assert codes(report) & {"AUD-411", "AUD-412"}


async def test_another_temperature_is_caught(host: Engine, model_path: Path) -> None:
    entries = await transcript(host, DRAWN, TOKENS, Told(sampler=replace(DRAWN, temperature=1.3)))
    assert "AUD-410" in codes(exact(entries, model_path))


async def test_another_seed_is_caught(host: Engine, model_path: Path) -> None:
    entries = await transcript(host, DRAWN, TOKENS, Told(seed=Seed(b"\x01" * 32)))
    assert "AUD-410" in codes(exact(entries, model_path))
    assert "AUD-411" in codes(statistical(entries, model_path))


def test_one_exchanged_token_is_found_where_it_is(
    honest: Honest, host: Engine, model_path: Path
) -> None:
    tokens = list(honest.greedy[3].tokens)
    tokens[7] = host.vocabulary.tokenize(" never")[0]
    entries = with_tokens(honest.greedy, 3, tokens, host)
    finding = next(one for one in exact(entries, model_path).findings if one.code == "AUD-410")
    assert (finding.entry, finding.token) == (3, 7)
    assert finding.got == f"token {tokens[7]}"
    assert finding.expected == f"token {honest.greedy[3].tokens[7]}"
    report = statistical(entries, model_path)
    finding = next(one for one in report.findings if one.code == "AUD-412")
    assert finding.entry == 3
    assert report.verdict.rule in (Rule.SINGLE, Rule.MEAN)


def test_an_answer_that_goes_on_after_its_end_is_caught(host: Engine, model_path: Path) -> None:
    """A short answer that is over, and what the host wrote behind it."""
    chat = ChatFormat(host.vocabulary, host.chat_template)
    messages = (ChatMessage("user", "Answer with the single word yes. Is snow white?"),)
    said, padding = "Yes, snow is white.", " moreover moreover"
    entries = (
        Entry(Kind.PROMPT, chat.opening(messages), Prompt(messages).text()),
        Entry(Kind.COMPLETION, host.vocabulary.tokenize(said), said),
        Entry(Kind.COMPLETION, host.vocabulary.tokenize(padding), padding),
    )
    for report in (exact(entries, model_path), statistical(entries, model_path)):
        past = next(one for one in report.findings if one.code == "AUD-413")
        assert (past.entry, past.token) == (2, 0)
        assert past.expected == f"token {host.vocabulary.eos}"


async def test_a_billed_end_token_is_caught_and_what_comes_behind_it(
    host: Engine, model_path: Path
) -> None:
    """The model chooses all of it: the end, too, and what it says when it is made to go on."""
    chat = ChatFormat(host.vocabulary, host.chat_template)
    messages = (ChatMessage("user", "Answer with the single word yes. Is snow white?"),)
    prompt = chat.opening(messages)
    answered = await answer(host, request(prompt, 200))
    end = answered.finished.end_token
    assert end is not None
    tokens = (*answered.tokens, end)
    asked = Entry(Kind.PROMPT, prompt, Prompt(messages).text())
    past = await answer(host, request((*prompt, *tokens), TOKENS))
    for billed in (tokens, (*tokens, *past.tokens)):
        text = host.vocabulary.detokenize(billed)
        entries = (asked, Entry(Kind.COMPLETION, billed, text))
        for report in (exact(entries, model_path), statistical(entries, model_path)):
            finding = next(one for one in report.findings if one.code == "AUD-413")
            assert (finding.entry, finding.token) == (1, len(answered.tokens))
            assert finding.got == f"token {end}"
            assert not report.accepted
            assert not report.replayed
        assert exact(entries, model_path).verdict.mismatches == 0
    honest = (asked, Entry(Kind.COMPLETION, answered.tokens, answered.text))
    for report in (exact(honest, model_path), statistical(honest, model_path)):
        assert "AUD-413" not in codes(report)
        assert report.cut_answers == ()


def request(prompt: tuple[int, ...], tokens: int) -> GenerationRequest:
    return GenerationRequest(prompt=prompt, sampler=GREEDY, seed=HEADER.seed, max_tokens=tokens)


def test_an_answer_that_was_cut_short_is_told_and_not_rejected(
    honest: Honest, host: Engine, model_path: Path
) -> None:
    cut = with_tokens(honest.greedy[:2], 1, honest.greedy[1].tokens[:10], host)
    report = exact(cut, model_path)
    assert report.accepted
    assert report.cut_answers == (1,)


def test_the_words_of_another_writer_are_not_the_models(
    honest: Honest, host: Engine, model_path: Path
) -> None:
    """Not even the words of a better one."""
    text = (
        "Dough is flour, water, salt and time. A baker folds it, waits, folds it again, and lets "
        "the oven do what patience began; good crust sings when it cools."
    )
    written = with_tokens(honest.greedy[:2], 1, host.vocabulary.tokenize(text), host)
    assert "AUD-410" in codes(exact(written, model_path))
    report = statistical(written, model_path)
    assert codes(report) >= {"AUD-411", "AUD-412"}
    assert report.verdict.outcome is Outcome.REJECTED


def test_a_stranger_with_a_larger_vocabulary_is_refused(honest: Honest, model_path: Path) -> None:
    """Before anything is decoded."""
    foreign = replace(honest.greedy[1], tokens=(*honest.greedy[1].tokens, 200_000))
    with pytest.raises(ForeignTokens) as caught:
        exact((honest.greedy[0], foreign), model_path)
    assert caught.value.code == "ENG-402"


def test_what_cannot_be_replayed_is_refused(honest: Honest, model_path: Path) -> None:
    prompt, answer = honest.greedy[:2]
    with pytest.raises(ContextTooLong):
        exact((prompt, replace(answer, tokens=answer.tokens * 200)), model_path)
    with pytest.raises(NothingBefore):
        exact((answer,), model_path)
    with pytest.raises(NothingBefore):
        exact((prompt,), model_path)
    with pytest.raises(SamplerNotUsable):
        exact((prompt, replace(answer, sampler=Sampler(temperature=1, top_p=7))), model_path)


def test_another_model_file_is_named(honest: Honest, model_path: Path) -> None:
    weights = weights_of(model_path)
    bound = replace(HEADER, terms=replace(TERMS, weights_root=weights.root))
    report = replay_transcript(bound, honest.greedy, model_path, recorded_settings())
    assert report.model.bound
    assert report.model.sha256 == weights.file_sha256
    assert "AUD-401" not in codes(report)
    foreign = replace(HEADER, terms=replace(TERMS, weights_root=WeightsRoot(b"\x01" * 32)))
    report = replay_transcript(foreign, honest.greedy, model_path, recorded_settings())
    assert "AUD-401" in codes(report)


def test_a_prompt_that_the_model_was_not_given_is_caught(honest: Honest, model_path: Path) -> None:
    prompt = honest.greedy[0]
    told = replace(prompt, text=prompt.text.replace("bread", "beer"))
    report = exact((told, *honest.greedy[1:]), model_path)
    finding = next(one for one in report.findings if one.code == "AUD-402")
    assert finding.entry == 0
    assert not report.accepted


def test_a_prompt_that_cannot_be_checked_is_told(honest: Honest, model_path: Path) -> None:
    """One that continues what is not in the node's format."""
    prompt = honest.greedy[0]
    plain = replace(prompt, text="How is bread made?")
    report = exact((plain, *honest.greedy[1:]), model_path)
    finding = next(one for one in report.findings if one.code == "AUD-422")
    assert finding.entry == 2
    assert not finding.speaks_against
    assert not report.replayed


def test_an_answer_whose_text_says_something_else_is_caught(
    honest: Honest, model_path: Path
) -> None:
    answer = honest.greedy[1]
    told = replace(answer, text=answer.text[:20] + "!" + answer.text[21:])
    report = exact((honest.greedy[0], told), model_path)
    assert "AUD-403" in codes(report)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flash_attention": False}, "flash attention"),
        ({"threads": 2}, "2 threads"),
        ({"batch_tokens": 256}, "256 tokens at a time"),
        ({"gpu_layers": -1}, "GPU"),
        ({"llama_cpp": "another"}, "runs another"),
    ],
)
def test_settings_without_the_same_bits_are_replayed_statistically(
    honest: Honest, model_path: Path, changes: dict[str, object], reason: str
) -> None:
    report = exact(honest.greedy[:2], model_path, **changes)
    assert report.mode is ReplayMode.STATISTICAL
    finding = next(one for one in report.findings if one.code == "AUD-421")
    assert reason in finding.message


def test_a_replay_can_be_stopped_between_chunks(honest: Honest, model_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done >= 32:
            raise Enough

    with pytest.raises(Enough):
        replay_transcript(unbound(), honest.greedy, model_path, recorded_settings(), stop)


def test_an_answer_cut_into_entries_is_replayed_as_one(
    honest: Honest, exact_replayer: Replayer
) -> None:
    whole = honest.drawn[:2]
    answer = whole[1]
    pieces = (
        whole[0],
        replace(answer, tokens=answer.tokens[:9], text=""),
        replace(answer, tokens=answer.tokens[9:]),
    )
    steps = [list(judged(exact_replayer, one, HEADER.seed)) for one in (whole, pieces)]
    told = [
        [(step.token, step.margin, step.position) for step in some if isinstance(step, JudgedToken)]
        for some in steps
    ]
    assert told[0] == told[1]
    assert [sum(isinstance(step, JudgedEnd) for step in some) for some in steps] == [1, 1]


def test_a_record_of_another_tool_is_replayed_as_far_as_it_goes(model_path: Path) -> None:
    """Templated text, and llama.cpp's own draw: its prompts are checked, its draws are not ours."""
    record = SessionRecord.decode(RECORD.read_bytes())
    entries = [entry.entry() for entry in record.entries][:2]
    report = replay_transcript(record.session_header(), entries, model_path, None)
    assert [one.agreement for one in report.prompts] == ["same"]
    assert "not in the node's format" in report.prompts[0].how
    assert "AUD-422" not in codes(report)
    assert not report.model.bound
    assert "AUD-411" in codes(report)


def test_statistical_settings_keep_a_quantised_cache_usable() -> None:
    assert statistical_settings(None, KvType.Q8_0).flash_attention
