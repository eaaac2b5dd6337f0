"""An answer's text against its tokens: what honest nodes write passes, other texts do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.audit.replay.checks import Agreement, TextCheck, check_answers
from platformless.engine.text import TextStream
from platformless.protocol.frames import LONGEST_STOP
from platformless.protocol.transcript import Entry, Kind

PROMPT = Entry(Kind.PROMPT, (0,), "")
PIECES = (b"", b"a", b"ab", b"\n", b"\n\n", b" \xf0\x9f", b"\x99\x82", b"\x82b", b"User:", b"\xc3")
"""What tokens say; some only begin a character, some are no characters."""


class Pieces:
    """A vocabulary of some pieces."""

    def __init__(self, pieces: Sequence[bytes] = PIECES) -> None:
        self._pieces = pieces

    def tokenize(self, text: str, *, special: bool = False) -> tuple[int, ...]:  # noqa: ARG002
        raise AssertionError("answers are not tokenized")

    def piece(self, token: int, *, special: bool = False) -> bytes:  # noqa: ARG002
        return self._pieces[token]


def checked(pieces: Sequence[bytes], *texts: str, cuts: Sequence[int] = ()) -> list[TextCheck]:
    """Of one answer, cut into entries before these tokens."""
    ends = [0, *cuts, len(pieces)]
    entries = [
        Entry(Kind.COMPLETION, tuple(range(first, end)), text)
        for first, end, text in zip(ends, ends[1:], texts, strict=False)
    ]
    return list(check_answers([PROMPT, *entries], Pieces(pieces)))


def agreements(checks: Sequence[TextCheck]) -> list[Agreement]:
    return [one.agreement for one in checks]


def streamed(tokens: Sequence[int], stops: Sequence[str], cuts: set[int], end: str) -> list[Entry]:
    """What a node records of an answer (`LiveSession`): tokens with the text that they let out.

    Args:
        cuts: Numbers of the tokens after which an entry of its own begins, once they let out text.
        end: "length", "cancelled", or "cut": a checkpoint before the rest of the text.
    """
    stream, entries = TextStream(stops), list[Entry]()
    held, recorded, text = list[int](), list[int](), ""

    def cut() -> None:
        nonlocal recorded, text
        if recorded:
            entries.append(Entry(Kind.COMPLETION, tuple(recorded), text))
        recorded, text = [], ""

    for number, token in enumerate(tokens):
        held.append(token)
        if out := stream.push(PIECES[token]):
            recorded, held, text = recorded + held, [], text + out
            if number in cuts:
                cut()
        if stream.stopped is not None:
            break
    if end == "cut":
        cut()
    elif end == "length" and (out := stream.finish()):
        recorded, text = recorded + held, text + out
    cut()
    return entries


@given(
    st.lists(st.integers(0, len(PIECES) - 1), max_size=30),
    st.lists(st.text("ab\nUser:", min_size=1, max_size=LONGEST_STOP), max_size=3)
    | st.just(["\n\nUser:", "\nUser:"]),
    st.sets(st.integers(0, 30)),
    st.sampled_from(["length", "cancelled", "cut"]),
)
def test_what_a_node_writes_is_what_its_tokens_say(
    tokens: list[int], stops: list[str], cuts: set[int], end: str
) -> None:
    entries = streamed(tokens, stops, cuts, end)
    checks = check_answers([PROMPT, *entries, Entry(Kind.END)], Pieces())
    assert [one.agreement for one in checks] == [Agreement.SAME] * len(entries)


def test_a_character_that_a_checkpoint_cuts_is_whole_in_the_next_entry() -> None:
    pieces = (b"good", b" \xf0\x9f", b"\x99\x82")
    assert agreements(checked(pieces, "good ", "\U0001f642", cuts=[2])) == [Agreement.SAME] * 2


def test_a_stop_string_that_a_checkpoint_cuts_is_shown_in_the_next_entry() -> None:
    pieces = (b"so", b"!\n\n", b"What")
    assert agreements(checked(pieces, "so!", "\n\nWhat", cuts=[2])) == [Agreement.SAME] * 2


def test_a_stop_string_may_begin_before_the_last_token() -> None:
    """Of \"\\n\\nUser:\", with three line breaks before it."""
    (check,) = checked((b"Yes.", b"\n\n", b"\n"), "Yes.\n")
    assert check.agreement is Agreement.SAME
    assert "stop string" in check.how


def test_prompts_part_answers() -> None:
    """What one answer does not show, the next does not either."""
    first = Entry(Kind.COMPLETION, (1, 3), "a")
    second = Entry(Kind.COMPLETION, (1,), "\na")
    checks = check_answers([PROMPT, first, PROMPT, second], Pieces())
    assert agreements(checks) == [Agreement.SAME, Agreement.DIFFERENT]


@pytest.mark.parametrize(
    ("texts", "cuts", "entry", "token"),
    [
        (("good nigh", "t"), [1], 1, 1),  # says what only later tokens say
        (("good", "night"), [1], 2, 0),  # a space is gone
        (("", " night"), [1], 1, 0),
        (("good", ""), [1], 2, 0),
        (("goo", " night"), [1], 2, None),  # the letter that was held
        (("good night!",), [], 1, 2),
        (("good day",), [], 1, 1),
    ],
)
def test_another_text_is_found_where_it_is(
    texts: tuple[str, ...], cuts: list[int], entry: int, token: int | None
) -> None:
    checks = checked((b"good", b" night"), *texts, cuts=cuts)
    different = next(one for one in checks if one.agreement is Agreement.DIFFERENT)
    assert (different.entry, different.token) == (entry, token)


def test_no_more_is_missing_than_a_stop_string_holds() -> None:
    pieces = [b"x", *([b"y"] * (LONGEST_STOP - 2)), b"!"]
    assert agreements(checked(pieces, "x")) == [Agreement.SAME]
    more = [*pieces[:-1], b"y", b"!"]
    assert agreements(checked(more, "x")) == [Agreement.DIFFERENT]
    assert agreements(checked(more, "xy")) == [Agreement.SAME]
    cut = checked([*more, b"z"], "x", "z", cuts=[len(more)])
    assert agreements(cut)[0] is Agreement.DIFFERENT
