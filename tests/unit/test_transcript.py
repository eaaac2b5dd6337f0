"""Entries and states: what the commitment binds."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.digests import Seed
from platformless.protocol.errors import TranscriptError, ValueOutOfRange
from platformless.protocol.header import SessionHeader
from platformless.protocol.transcript import NO_SAMPLER, Entry, Kind, Sampler, State

from .. import strategies as our
from ..samples import HEADER


@given(our.headers, our.transcripts(min_size=1), st.data())
def test_any_change_to_any_entry_changes_every_later_state(
    header: SessionHeader, entries: tuple[Entry, ...], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(entries) - 1))
    other = data.draw(our.entries.filter(lambda entry: entry != entries[at]))
    changed = (*entries[:at], other, *entries[at + 1 :])
    if any(entry.kind is Kind.END for entry in changed[:-1]):
        return
    before = State.initial(header)
    for length in range(at + 1, len(entries) + 1):
        original = before.extend(header, entries[:length])
        assert before.extend(header, changed[:length]).digest != original.digest


@given(our.headers, our.headers, our.transcripts())
def test_any_change_to_the_header_changes_the_state(
    header: SessionHeader, other: SessionHeader, entries: tuple[Entry, ...]
) -> None:
    if header == other:
        return
    ours = State.initial(header).extend(header, entries)
    theirs = State.initial(other).extend(other, entries)
    assert ours.digest != theirs.digest


@given(our.headers, our.completions, st.data())
def test_another_cut_is_another_transcript_with_the_same_tokens(
    header: SessionHeader, completion: Entry, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(completion.tokens)))
    pieces = [
        dataclasses.replace(completion, tokens=completion.tokens[:cut]),
        dataclasses.replace(completion, tokens=completion.tokens[cut:]),
    ]
    start = State.initial(header)
    whole = start.extend(header, [completion])
    parts = start.extend(header, pieces)
    assert parts.digest != whole.digest
    assert parts.tokens == whole.tokens == len(completion.tokens)


@given(our.headers, st.lists(our.entries, max_size=6))
def test_only_completion_tokens_are_billed(header: SessionHeader, entries: list[Entry]) -> None:
    after = State.initial(header).extend(header, entries)
    completed = [entry for entry in entries if entry.kind is Kind.COMPLETION]
    assert after.tokens == sum(len(entry.tokens) for entry in completed)
    assert after.entries == len(entries)


@given(our.entries, our.entries, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_no_two_entries_share_a_preimage(one: Entry, other: Entry, n: int, m: int) -> None:
    assert (one.encode(n) == other.encode(m)) == ((one, n) == (other, m))


@given(our.headers, our.headers)
def test_no_two_headers_share_a_preimage(one: SessionHeader, other: SessionHeader) -> None:
    assert (one.encode() == other.encode()) == (one == other)


@given(our.headers, our.prompts)
def test_an_entry_cannot_be_guessed_without_the_salt(header: SessionHeader, entry: Entry) -> None:
    other = dataclasses.replace(header, salt=type(header.salt)(bytes(31) + b"\1"))
    if other.salt != header.salt:
        assert entry.digest(header, 0) != entry.digest(other, 0)


@given(our.headers, our.completions)
def test_the_seed_of_the_session_is_part_of_every_entry(
    header: SessionHeader, entry: Entry
) -> None:
    other = dataclasses.replace(header, seed=Seed(bytes(31) + b"\1"))
    if other.seed != header.seed:
        assert entry.digest(header, 0) != entry.digest(other, 0)


@given(our.headers, our.entries)
def test_nothing_follows_an_end(header: SessionHeader, entry: Entry) -> None:
    ended = State.initial(header).append(header, our.END)
    with pytest.raises(TranscriptError, match="has ended"):
        ended.append(header, entry)


def test_a_state_refuses_the_header_of_another_session() -> None:
    other = dataclasses.replace(HEADER, seed=Seed(b"\x01" * 32))
    with pytest.raises(TranscriptError, match="another session"):
        State.initial(HEADER).append(other, our.END)


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        (Kind.NONE, {}, TranscriptError),
        (Kind.END, {"tokens": (1,)}, TranscriptError),
        (Kind.END, {"text": "x"}, TranscriptError),
        (Kind.PROMPT, {"sampler": Sampler(temperature=1.0)}, TranscriptError),
        (Kind.PROMPT, {"tokens": (2**32,)}, ValueOutOfRange),
        (Kind.PROMPT, {"tokens": (-1,)}, ValueOutOfRange),
        (Kind.PROMPT, {"text": "\ud800"}, ValueOutOfRange),
    ],
)
def test_an_entry_carries_only_what_its_kind_may(
    kind: Kind, fields: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Entry(kind, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39, "warm", None])
def test_a_sampler_takes_finite_single_precision_numbers(value: object) -> None:
    with pytest.raises(ValueOutOfRange):
        Sampler(temperature=value)  # type: ignore[arg-type]


def test_an_absent_sampler_is_all_zeros() -> None:
    assert NO_SAMPLER.encode() == bytes(32)
    assert Sampler(temperature=-0.0).encode() == bytes(32)
