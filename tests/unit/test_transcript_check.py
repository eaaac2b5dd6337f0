"""The client's transcript against what is proven: honest hosts pass, whatever broke off."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from platformless.audit.session.transcript_check import (
    ProvenCheckpoint,
    check_texts,
    check_transcript,
)
from platformless.node.sessions.conversation import Conversation
from platformless.protocol.conversation import ways_to_ask
from platformless.protocol.delta import Message
from platformless.protocol.digests import DeltaDigest, TraceRoot
from platformless.protocol.errors import RecordFormatError
from platformless.protocol.exported import BrokenOff, ExportedTranscript
from platformless.protocol.flattened import flatten
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.published import messages_of
from platformless.protocol.record import EntryRecord, HeaderRecord
from platformless.protocol.spelling import SILENT_TOKENS
from platformless.protocol.transcript import Entry, Kind, State, Tokens
from tests.samples import HEADER

END = Entry(Kind.END)


def asked(entries: Sequence[Entry], text: str) -> Entry:
    """As a node records it."""
    ways = ways_to_ask(Conversation.of(entries), text)
    return Entry(Kind.PROMPT, (1, 2), (ways.continued or ways.anew).text())


def said(text: str, tokens: int) -> Entry:
    return Entry(Kind.COMPLETION, tuple(range(tokens)), text)


def talk(*said_by_turns: str | Entry) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for one in said_by_turns:
        entries.append(asked(entries, one) if isinstance(one, str) else one)
    return tuple(entries)


RECEIVED = talk("Hello?", said("Hi there.", 4))
MORE = talk("Hello?", said("Hi there.", 4), "And now?", said("Now it is", 3))


def proven(*windows: Sequence[Entry]) -> list[ProvenCheckpoint]:
    """Claims that end after each of these transcripts."""
    claims = []
    for number, entries in enumerate(windows):
        state = State.initial(HEADER).extend(HEADER, entries)
        claims.append(
            ProvenCheckpoint(
                number,
                HEADER.digest(),
                HEADER.terms,
                state.tokens,
                state.digest,
                DeltaDigest.zero(),
                TraceRoot.zero(),
            )
        )
    return claims


def codes(transcript: ExportedTranscript, claims: list[ProvenCheckpoint]) -> list[str]:
    return [one.code for one in check_transcript(transcript, claims)[1]]


def told(entries: Sequence[Entry]) -> list[Message]:
    """What an honest host publishes."""
    return [one for number, entry in enumerate(entries) for one in messages_of(entry, number)]


def texts(transcript: ExportedTranscript, entries: Sequence[Entry]) -> list[str]:
    tokens = Tokens(sum(entry.billed for entry in entries))
    return [one.code for one in check_texts(transcript, told(entries), tokens)]


# Answers that broke off


@pytest.mark.parametrize(
    "windows",
    [
        [(*MORE[:3], END)],  # before its first token
        [(*MORE, END)],  # in mid-answer
        [RECEIVED, (*MORE, END)],
        [RECEIVED, MORE, (*MORE, said(" late.", 2), END)],
    ],
)
def test_an_answer_that_broke_off_is_not_held_against_a_host(
    windows: list[Sequence[Entry]],
) -> None:
    transcript = ExportedTranscript(HEADER, RECEIVED, None, (BrokenOff(5, "Now"),))
    claims = proven(*windows)
    check, problems = check_transcript(transcript, claims)
    assert [one.code for one in problems] == ["AUD-327"]
    assert check.matched == (4 if windows[0] is RECEIVED else 0)
    unmatched = claims[-1].tokens_after - check.matched
    assert problems[0].got == f"{unmatched} tokens not matched"
    assert texts(transcript, windows[-1]) == []


@pytest.mark.parametrize(
    ("broken_off", "windows", "code"),
    [
        ((), [(*MORE, END)], "AUD-323"),
        ((), [(*MORE[:3], END)], "AUD-322"),
        ((BrokenOff(2, ""),), [(*MORE, END)], "AUD-323"),  # more than was asked for
        ((BrokenOff(1, ""), BrokenOff(1, "")), [RECEIVED, (*MORE, END)], "AUD-323"),
        ((BrokenOff(5, ""),), [talk("Hello?", said("Hi", 2))], "AUD-322"),
        ((BrokenOff(5, ""),), [talk("Hello?", said("Hi", 2)), MORE], "AUD-322"),
        ((BrokenOff(5, ""),), [RECEIVED, MORE, (*MORE, said("more", 9))], "AUD-323"),
    ],
)
def test_what_else_differs_is_held_against_it(
    broken_off: tuple[BrokenOff, ...], windows: list[Sequence[Entry]], code: str
) -> None:
    transcript = ExportedTranscript(HEADER, RECEIVED, None, broken_off)
    assert codes(transcript, proven(*windows)) == [code]


@pytest.mark.parametrize(
    ("received", "accepted"),
    [("Now", True), ("", True), ("Now it is so late", True), ("Never", False)],
)
def test_a_host_publishes_what_came_of_an_answer_that_broke_off(
    received: str, accepted: bool
) -> None:
    transcript = ExportedTranscript(HEADER, RECEIVED, None, (BrokenOff(5, received),))
    assert texts(transcript, MORE) == ([] if accepted else ["AUD-324"])


def test_answers_that_broke_off_come_in_their_order() -> None:
    first, second = BrokenOff(5, "Now"), BrokenOff(5, "Then")
    kept = talk(*MORE[:2], "And now?", said("Now it is", 3), "And then?", said("Then", 1))
    for broken_off, accepted in (((first, second), True), ((second, first), False)):
        transcript = ExportedTranscript(HEADER, RECEIVED, None, broken_off)
        assert texts(transcript, kept) == ([] if accepted else ["AUD-324"])
    assert texts(ExportedTranscript(HEADER, RECEIVED, None, (first, second)), MORE) == []


def test_what_a_client_received_is_published_whatever_broke_off_later() -> None:
    transcript = ExportedTranscript(HEADER, RECEIVED, None, (BrokenOff(5, ""),))
    assert texts(transcript, talk("Hello?", said("Go away.", 4))) == ["AUD-324"]


def document(unsettled: list[dict[str, object]]) -> bytes:
    """A saved session, as far as an auditor reads it."""
    return msgspec.json.encode(
        {
            "format": "client-session/1",
            "header": HeaderRecord.of(HEADER),
            "entries": [EntryRecord.of(entry) for entry in RECEIVED],
            "unsettled": unsettled,
        }
    )


def test_a_saved_session_tells_what_broke_off() -> None:
    asked_last = {"prompt": "And now?", "max_tokens": 9, "received": "N", "sampler": None}
    transcript = ExportedTranscript.decode(document([asked_last]))
    assert transcript.broken_off == (BrokenOff(9, "N"),)
    with pytest.raises(RecordFormatError):
        ExportedTranscript.decode(document([{**asked_last, "max_tokens": -1}]))


# What is published of a conversation


def test_a_first_prompt_that_tells_a_conversation_is_published_whole() -> None:
    flat = flatten([("user", "Hello?"), ("assistant", "Hi there."), ("user", "And now?")])
    entries = talk(flat, said("Now.", 2), "And then?", said("Then.", 2))
    transcript = ExportedTranscript(HEADER, entries)
    assert texts(transcript, entries) == []
    assert [one.content for one in told(entries) if one.role == "assistant"] == [
        "Hi there.",
        "Now.",
        "Then.",
    ]
    other = flat.replace("Hi there.", "Bye.")
    assert texts(transcript, talk(other, *entries[1:])) == ["AUD-324"]


def test_a_new_context_in_the_middle_publishes_its_last_message_alone() -> None:
    messages = (*Conversation.of(RECEIVED).messages, ChatMessage("user", "And now?"))
    anew = Entry(Kind.PROMPT, (1,), Prompt(messages).text())
    entries = (*RECEIVED, anew, said("Now.", 2))
    assert texts(ExportedTranscript(HEADER, entries), entries) == []


def test_a_prompt_that_no_node_wrote_is_passed_over() -> None:
    entries = (Entry(Kind.PROMPT, (1,), "Hello?"), said("Hi.", 2))
    assert not list(
        check_texts(
            ExportedTranscript(HEADER, entries), [Message("assistant", "Hi.", 0)], Tokens(2)
        )
    )


# Padding


def test_an_answer_has_no_more_tokens_than_its_text_can_have() -> None:
    most = len("Hi.") + SILENT_TOKENS
    for tokens, found in ((most, []), (most + 1, ["AUD-328"])):
        entries = talk("Hello?", said("Hi.", tokens))
        assert codes(ExportedTranscript(HEADER, entries), proven(entries)) == found


def test_parts_of_an_answer_are_one_text() -> None:
    parts = [said("a", SILENT_TOKENS) for _ in range(3)]
    entries = talk("Hello?", *parts)
    assert codes(ExportedTranscript(HEADER, entries), proven(entries)) == ["AUD-328"]
    apart = talk("Hello?", parts[0], "And?", parts[1])
    assert codes(ExportedTranscript(HEADER, apart), proven(apart)) == []


def test_tokens_without_any_text_are_none() -> None:
    entries = talk("Hello?", said("", 1))
    assert codes(ExportedTranscript(HEADER, entries), proven(entries)) == ["AUD-328"]
