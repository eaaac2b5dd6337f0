"""Hypothesis strategies for the values of the protocol."""

from __future__ import annotations

from hypothesis import strategies as st

from platformless.protocol.digests import (
    Address,
    DeltaDigest,
    ModelId,
    Salt,
    Seed,
    TraceRoot,
    WeightsRoot,
)
from platformless.protocol.header import SessionHeader
from platformless.protocol.terms import SessionTerms
from platformless.protocol.transcript import Entry, Kind, Sampler, State
from platformless.protocol.window import Window
from platformless.protocol.words import U32_MAX, U64_MAX, U256_MAX

bytes20 = st.binary(min_size=20, max_size=20)
bytes32 = st.binary(min_size=32, max_size=32)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
token_ids = st.lists(st.integers(0, U32_MAX), max_size=40).map(tuple)
real = st.floats(width=32, allow_nan=False, allow_infinity=False)

terms = st.builds(
    SessionTerms,
    chain_id=st.integers(0, U64_MAX),
    marketplace=bytes20.map(Address),
    session_id=st.integers(0, U256_MAX),
    host=bytes20.map(Address),
    client=bytes20.map(Address),
    model_id=bytes32.map(ModelId),
    weights_root=bytes32.map(WeightsRoot),
    price=st.integers(0, U256_MAX),
)
headers = st.builds(SessionHeader, terms, bytes32.map(Seed), bytes32.map(Salt))

samplers = st.builds(
    Sampler,
    temperature=real,
    top_k=st.integers(0, U32_MAX),
    top_p=real,
    min_p=real,
    repeat_penalty=real,
    repeat_last_n=st.integers(0, U32_MAX),
    frequency_penalty=real,
    presence_penalty=real,
)

prompts = st.builds(Entry, kind=st.just(Kind.PROMPT), tokens=token_ids, text=text)
completions = st.builds(
    Entry, kind=st.just(Kind.COMPLETION), tokens=token_ids, text=text, sampler=samplers
)
entries = prompts | completions
END = Entry(Kind.END)


@st.composite
def transcripts(draw: st.DrawFn, *, min_size: int = 0) -> tuple[Entry, ...]:
    """Entries that may follow one another: an end only at the end."""
    body = draw(st.lists(entries, min_size=min_size, max_size=5))
    return (*body, *([END] if draw(st.booleans()) else []))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """A first checkpoint, or a later one after a few entries."""
    header = draw(headers)
    earlier = draw(st.lists(entries, max_size=3))
    window_entries = draw(transcripts(min_size=1))
    number = draw(st.integers(1, U64_MAX)) if earlier else 0
    return Window(
        header=header,
        checkpoint=number,
        before=State.initial(header).extend(header, earlier),
        entries=window_entries,
        delta_digest=draw(bytes32.map(DeltaDigest)),
        trace_root=draw(bytes32.map(TraceRoot)),
    )
