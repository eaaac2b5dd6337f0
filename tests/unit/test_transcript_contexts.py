"""Where contexts begin in a transcript, told once for all its states."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from platformless.audit.sample_expected import ContextPlace
from platformless.audit.session.contexts import TranscriptContexts
from platformless.protocol.digests import StateDigest
from platformless.protocol.exported import ExportedTranscript
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.sample.context import Context
from platformless.protocol.transcript import Entry, Kind, State, Tokens

from ..samples import HEADER

ASKED = (ChatMessage("user", "And then?"),)
ENTRIES = {
    "begins": Entry(Kind.PROMPT, (1, 2, 3), Prompt(ASKED).text()),
    "continues": Entry(Kind.PROMPT, (4, 5), Prompt(ASKED, continues=True).text()),
    "unreadable": Entry(Kind.PROMPT, (6,), "no node wrote this"),
    "answers": Entry(Kind.COMPLETION, (7, 8, 9, 10), "So."),
}


@given(
    names=st.lists(st.sampled_from(sorted(ENTRIES)), min_size=1, max_size=12), ends=st.booleans()
)
def test_every_state_has_the_context_that_the_protocol_says(names: list[str], ends: bool) -> None:
    entries = tuple(ENTRIES[name] for name in names) + (Entry(Kind.END),) * ends
    contexts = TranscriptContexts(ExportedTranscript(HEADER, entries))
    state = State.initial(HEADER)
    for number, entry in enumerate(entries, 1):
        state = state.append(HEADER, entry)
        expected = ContextPlace.of(Context.last_of(HEADER, entries[:number]))
        assert contexts.ending_in(state.digest) == expected


def test_the_end_of_which_no_client_is_told_changes_no_context() -> None:
    entries = (ENTRIES["answers"], ENTRIES["begins"], ENTRIES["answers"])
    contexts = TranscriptContexts(ExportedTranscript(HEADER, entries))
    last = State.initial(HEADER).extend(HEADER, entries)
    ended = last.append(HEADER, Entry(Kind.END))
    assert contexts.ending_in(ended.digest) == contexts.ending_in(last.digest)
    assert contexts.ending_in(last.digest) == ContextPlace(1, Tokens(4), 7)


def test_another_transcript_has_no_such_state() -> None:
    contexts = TranscriptContexts(ExportedTranscript(HEADER, (ENTRIES["begins"],)))
    assert contexts.ending_in(StateDigest(b"\x01" * 32)) is None
