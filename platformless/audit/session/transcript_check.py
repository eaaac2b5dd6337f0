"""The client's transcript against the proven claims: every entry and state, computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...protocol.delta import Message
from ...protocol.digests import DeltaDigest, HeaderDigest, StateDigest, TraceRoot
from ...protocol.exported import ExportedTranscript
from ...protocol.terms import SessionTerms
from ...protocol.transcript import Entry, Kind, State, Tokens
from .errors import (
    AuditProblem,
    HeaderDiffers,
    StateDiffers,
    TextDiffers,
    TranscriptLonger,
    TranscriptShort,
)


@dataclass(frozen=True, slots=True)
class ProvenCheckpoint:
    """What is proven of one checkpoint, by its own claim or by a row of the whole session's."""

    number: int
    header_digest: HeaderDigest
    terms: SessionTerms
    tokens_after: Tokens
    state_after: StateDigest
    delta_digest: DeltaDigest
    trace_root: TraceRoot


@dataclass(frozen=True, slots=True)
class TranscriptCheck:
    """How far a transcript agrees with the proofs."""

    entries: int
    tokens: Tokens
    """Completion tokens of the transcript."""
    matched: Tokens
    """Of these, up to the last proven state that the transcript leads to."""

    def to_json(self) -> dict[str, Any]:
        return {"entries": self.entries, "tokens": self.tokens, "matched_tokens": self.matched}


def check_transcript(
    transcript: ExportedTranscript, proven: Sequence[ProvenCheckpoint]
) -> tuple[TranscriptCheck, list[AuditProblem]]:
    """Computes every state and compares those that are proven.

    Raises:
        ProtocolError: when the entries cannot follow one another.
    """
    header = transcript.header
    states = states_of(transcript)
    last = states[-1]
    problems: list[AuditProblem] = []
    known = {state.digest: state for state in states}
    matched = Tokens(0)
    for claim in proven:
        if claim.header_digest != header.digest():
            problems.append(
                HeaderDiffers(
                    f"checkpoint {claim.number} is of another session than the transcript",
                    expected=header.digest(),
                    got=claim.header_digest,
                )
            )
            break
        found = known.get(claim.state_after)
        if found is not None and found.tokens == claim.tokens_after:
            matched = found.tokens
        elif claim.tokens_after > last.tokens:
            problems.append(
                TranscriptShort(
                    f"checkpoint {claim.number} bills tokens that the transcript has not",
                    expected=f"at most {last.tokens} tokens",
                    got=claim.tokens_after,
                )
            )
            break
        else:
            expected = [state.digest for state in states if state.tokens == claim.tokens_after]
            problems.append(
                StateDiffers(
                    f"checkpoint {claim.number} was proven of other entries than were received",
                    expected=" or ".join(map(str, expected[-2:])) or "no state of so many tokens",
                    got=claim.state_after,
                )
            )
            break
    if not problems and last.tokens > matched:
        problems.append(
            TranscriptLonger(
                "the transcript goes on where no proof does", expected=matched, got=last.tokens
            )
        )
    return TranscriptCheck(len(transcript.entries), last.tokens, matched), problems


def check_texts(
    transcript: ExportedTranscript, conversation: Sequence[Message], tokens: Tokens
) -> Iterator[TextDiffers]:
    """Whether the answers that the deltas tell are the transcript's, up to `tokens`."""
    said = "".join(message.content for message in conversation if message.role == "assistant")
    written, counted = list[str](), 0
    for entry in transcript.entries:
        if counted >= tokens:
            break
        counted += entry.billed
        if entry.kind is Kind.COMPLETION:
            written.append(entry.text)
    expected = "".join(written)
    if said != expected:
        at = next(
            (i for i, (a, b) in enumerate(zip(expected, said, strict=False)) if a != b),
            min(len(expected), len(said)),
        )
        yield TextDiffers(
            f"the published answers differ from the received ones at character {at}",
            expected=repr(expected[at : at + 40]),
            got=repr(said[at : at + 40]),
        )


def states_of(transcript: ExportedTranscript) -> list[State]:
    """The state before each entry, and those at the end: with the entry that ends the transcript,
    which no client is told of, too.

    Raises:
        ProtocolError: when the entries cannot follow one another.
    """
    states = [State.initial(transcript.header)]
    for entry in transcript.entries:
        states.append(states[-1].append(transcript.header, entry))
    if states[-1].last_kind is not Kind.END:
        # The host ends the transcript when the session is over.
        states.append(states[-1].append(transcript.header, Entry(Kind.END)))
    return states
