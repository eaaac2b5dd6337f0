"""Transcribing: what is published of entries, and the meter made again from what was kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.node.sessions.metering import ClaimRules, Meter
from platformless.node.sessions.transcribing import (
    answer_of,
    kept_checkpoint,
    messages_of,
    meter_of,
)
from platformless.protocol.delta import Message
from platformless.protocol.errors import PromptFormatError
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.seed import SeedPart
from platformless.protocol.transcript import Entry, Kind, Sampler, State, Tokens
from platformless.prover.ledger.values import (
    KeptCheckpoint,
    KeptEntry,
    KeptSession,
    SessionStart,
    StreamedTokens,
)
from tests.samples import HEADER

RULES = ClaimRules(Tokens(100), Tokens(100), Tokens(5000))
SAMPLER = Sampler(0.7, 40, 0.95)
START = SessionStart(HEADER, SeedPart.zero(), SeedPart.zero())
SYSTEM, FIRST, ANSWER, SECOND = (
    ChatMessage("system", "Be brief."),
    ChatMessage("user", "Hello."),
    ChatMessage("assistant", "Hi."),
    ChatMessage("user", "And now?"),
)


def prompt(number: int, *said: ChatMessage, continues: bool = False) -> KeptEntry:
    entry = Entry(Kind.PROMPT, (1, 2, 3), Prompt(said, continues).text())
    return KeptEntry(number, entry, number * 1000)


def completion(number: int, tokens: int, text: str = "A", *, partial: bool = False) -> KeptEntry:
    entry = Entry(Kind.COMPLETION, tuple(range(tokens)), text, SAMPLER)
    return KeptEntry(number, entry, number * 1000, partial)


def test_the_first_prompt_is_published_whole() -> None:
    assert messages_of(prompt(0, SYSTEM, FIRST)) == (
        Message("system", "Be brief.", 0),
        Message("user", "Hello.", 0),
    )


def test_a_new_context_later_repeats_only_what_was_said() -> None:
    later = prompt(2, SYSTEM, FIRST, ANSWER, SECOND)
    assert messages_of(later) == (Message("user", "And now?", 2000),)


def test_a_prompt_that_continues_is_all_new() -> None:
    later = prompt(2, FIRST, SECOND, continues=True)
    assert [one.content for one in messages_of(later)] == ["Hello.", "And now?"]


def test_a_role_that_deltas_do_not_know_is_the_users() -> None:
    assert messages_of(prompt(0, ChatMessage("tool", "42")))[0].role == "user"


def test_an_answer_is_one_message_and_says_whether_it_goes_on() -> None:
    assert messages_of(completion(1, 3, "Hi.", partial=True)) == (
        Message("assistant", "Hi.", 1000, partial=True),
    )
    assert not messages_of(completion(1, 3))[0].partial


def test_an_end_says_nothing() -> None:
    assert messages_of(KeptEntry(4, Entry(Kind.END), 5)) == ()


def test_a_prompt_that_nobody_wrote_is_refused() -> None:
    with pytest.raises(PromptFormatError):
        messages_of(KeptEntry(0, Entry(Kind.PROMPT, (1,), "Hello."), 0))


def test_nothing_streamed_is_no_answer() -> None:
    assert answer_of(()) is None


def test_what_was_streamed_is_one_answer_in_its_order() -> None:
    parts = [
        StreamedTokens(1, 0, (5, 6), "It ", SAMPLER, 1),
        StreamedTokens(1, 2, (7,), "was ", SAMPLER, 2),
        StreamedTokens(1, 3, (8, 9), "so.", SAMPLER, 3),
    ]
    assert answer_of(parts) == Entry(Kind.COMPLETION, (5, 6, 7, 8, 9), "It was so.", SAMPLER)


def fed(*kept: KeptEntry, cuts: tuple[int, ...] = ()) -> tuple[Meter, tuple[KeptCheckpoint, ...]]:
    """The meter as the recorder has it, with a cut after each of so many entries."""
    meter = Meter.start(HEADER, RULES)
    checkpoints = []
    for entry in kept:
        meter = meter.add(entry.entry, *messages_of(entry))
        if entry.number + 1 in cuts:
            cut, meter = meter.cut()
            checkpoints.append(kept_checkpoint(cut, 77))
    return meter, tuple(checkpoints)


ENTRIES = (
    prompt(0, FIRST),
    completion(1, 120, "Once ", partial=True),
    completion(2, 130, "upon a time."),
    prompt(3, SECOND, continues=True),
    completion(4, 30, "The end."),
)


@pytest.mark.parametrize("cuts", [(), (2,), (3,), (2, 3), (2, 5)])
@pytest.mark.parametrize("entries", range(6))
def test_the_meter_is_the_same_again(cuts: tuple[int, ...], entries: int) -> None:
    meter, checkpoints = fed(*ENTRIES[:entries], cuts=cuts)
    kept = KeptSession(START, ENTRIES[:entries], checkpoints=checkpoints)
    assert meter_of(kept, RULES) == meter


def test_a_meter_is_made_again_also_when_the_rules_have_changed() -> None:
    """What was counted stays counted, whatever the deposit would pay for now."""
    _, checkpoints = fed(*ENTRIES, cuts=(2,))
    kept = KeptSession(START, ENTRIES, checkpoints=checkpoints)
    meter = meter_of(kept, replace(RULES, affordable=Tokens(10)))
    assert (meter.state.tokens, meter.claimed, meter.tokens_left) == (280, 120, 0)


def test_a_checkpoint_is_kept_as_it_was_cut() -> None:
    _, (first, second) = fed(*ENTRIES, cuts=(2, 5))
    assert (first.number, first.first_entry, first.end_entry) == (0, 0, 2)
    assert (first.tokens_before, first.tokens_after, first.at_ms) == (0, 120, 77)
    assert first.state_before == State.initial(HEADER).digest
    assert (second.number, second.first_entry, second.end_entry) == (1, 2, 5)
    assert second.state_before == first.state_after
    written = [one.entry for one in ENTRIES]
    assert second.state_after == State.initial(HEADER).extend(HEADER, written).digest
    assert [one.content for one in second.delta.messages] == [
        "upon a time.",
        "And now?",
        "The end.",
    ]
