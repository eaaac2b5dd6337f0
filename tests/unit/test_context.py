"""The context in which a transcript ends, and what of a checkpoint is in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.sample.context import Context, covered_tokens
from platformless.protocol.transcript import Entry, Kind, State, Tokens
from tests.samples import COMPLETION, END, HEADER, PROMPT

ASKED = (ChatMessage("user", "Why?"),)
BEGINS = Entry(Kind.PROMPT, (1, 2), Prompt(ASKED).text())
GOES_ON = Entry(Kind.PROMPT, (3,), Prompt(ASKED, continues=True).text())
ANSWER = Entry(Kind.COMPLETION, (4, 5, 6), "So.")
entries = st.lists(st.sampled_from([BEGINS, GOES_ON, ANSWER, PROMPT, COMPLETION]), max_size=12)
small = st.integers(0, 30)


def last_of(*of: Entry) -> Context:
    return Context.last_of(HEADER, of)


def test_a_context_goes_from_the_last_prompt_that_begins_anew_to_the_end() -> None:
    found = last_of(BEGINS, ANSWER, BEGINS, ANSWER, GOES_ON, ANSWER)
    assert found.entries == (BEGINS, ANSWER, GOES_ON, ANSWER)
    assert found.tokens == (1, 2, 4, 5, 6, 3, 4, 5, 6)
    assert (found.before.entries, found.before.tokens) == (2, 3)


def test_what_begins_nowhere_is_one_context() -> None:
    for of in ((), (GOES_ON, ANSWER), (PROMPT, COMPLETION)):  # PROMPT: no node wrote its text
        found = last_of(*of)
        assert (found.entries, found.before) == (of, State.initial(HEADER))


def test_an_end_is_in_the_context_and_adds_no_token() -> None:
    assert last_of(BEGINS, ANSWER, END).entries == (BEGINS, ANSWER, END)
    assert last_of(BEGINS, ANSWER, END).tokens == last_of(BEGINS, ANSWER).tokens


@given(entries)
def test_a_context_ends_where_its_transcript_ends(of: list[Entry]) -> None:
    found = last_of(*of)
    assert (*of[: found.before.entries], *found.entries) == tuple(of)
    assert found.after == State.initial(HEADER).extend(HEADER, of)
    assert BEGINS not in found.entries[1:]


@given(small, small, small)
def test_covered_is_what_a_checkpoint_and_its_context_have_in_common(
    context: int, one: int, other: int
) -> None:
    before, after = sorted((one, other))
    common = set(range(before, after)) & set(range(context, after))
    assert covered_tokens(Tokens(context), Tokens(before), Tokens(after)) == len(common)


def test_a_context_that_began_within_the_checkpoint_covers_a_part() -> None:
    assert covered_tokens(Tokens(0), Tokens(100), Tokens(150)) == 50
    assert covered_tokens(Tokens(120), Tokens(100), Tokens(150)) == 30
    assert covered_tokens(Tokens(150), Tokens(100), Tokens(150)) == 0
    assert covered_tokens(Tokens(200), Tokens(100), Tokens(150)) == 0
