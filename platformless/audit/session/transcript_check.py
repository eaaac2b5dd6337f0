"""The client's transcript against the proven claims: every entry and state, computed again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ...protocol.delta import Message
from ...protocol.digests import DeltaDigest, HeaderDigest, StateDigest, TraceRoot
from ...protocol.errors import PromptFormatError
from ...protocol.exported import BrokenOff, ExportedTranscript
from ...protocol.published import messages_of
from ...protocol.spelling import most_tokens
from ...protocol.terms import SessionTerms
from ...protocol.transcript import Entry, Kind, State, Tokens
from .errors import (
    AnswerPadded,
    AuditProblem,
    BrokeOff,
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
    """Computes every state and compares those that are proven. `BrokeOff` and `TranscriptLonger`
    are not held against the host.

    Raises:
        ProtocolError: when the entries cannot follow one another.
    """
    header = transcript.header
    states = states_of(transcript)
    last = states[-1]
    problems: list[AuditProblem] = list(padded_answers(transcript))
    known = {state.digest: state for state in states}
    matched = Tokens(0)
    for at, claim in enumerate(proven):
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
            continue
        if may_have_broken_off(transcript, last.tokens, proven[at:]):
            problems.append(
                BrokeOff(
                    f"the client lost the connection in its last answers: from checkpoint "
                    f"{claim.number} on it cannot tell what was billed",
                    expected=f"{proven[-1].tokens_after} tokens that lead to the client's states",
                    got=f"{proven[-1].tokens_after - matched} tokens not matched",
                )
            )
        elif claim.tokens_after > last.tokens:
            problems.append(
                TranscriptShort(
                    f"checkpoint {claim.number} bills tokens that the transcript has not",
                    expected=f"at most {last.tokens} tokens",
                    got=claim.tokens_after,
                )
            )
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


def may_have_broken_off(
    transcript: ExportedTranscript, received: Tokens, rest: Sequence[ProvenCheckpoint]
) -> bool:
    """Whether the checkpoints that lead to no state of the transcript may be the answers whose end
    its client did not see: they begin where it ends, at the earliest, and bill no more than was
    asked for.

    Args:
        received: Tokens of the transcript.
    """
    most = sum(one.max_tokens for one in transcript.broken_off)
    return bool(transcript.broken_off) and all(
        claim.header_digest == transcript.header.digest()
        and received <= claim.tokens_after <= received + most
        for claim in rest
    )


def padded_answers(transcript: ExportedTranscript) -> Iterator[AnswerPadded]:
    """Answers with more tokens than their texts can have."""
    before = Kind.NONE
    answers: list[tuple[int, str, int]] = []
    for number, entry in enumerate(transcript.entries):
        if entry.kind is Kind.COMPLETION:
            first, text, tokens = answers.pop() if before is Kind.COMPLETION else (number, "", 0)
            answers.append((first, text + entry.text, tokens + entry.billed))
        before = entry.kind
    for first, text, tokens in answers:
        if tokens > most_tokens(text):
            yield AnswerPadded(
                f"the answer from entry {first} on has more tokens than its text can have",
                expected=f"at most {most_tokens(text)} tokens",
                got=tokens,
            )


def check_texts(
    transcript: ExportedTranscript, conversation: Sequence[Message], tokens: Tokens
) -> Iterator[TextDiffers]:
    """Whether the answers that the deltas tell are the transcript's, up to `tokens`. Answers that
    broke off may follow, with the text that the client has of them."""
    answers = [
        "".join(message.content for message in messages)  # parts of one answer
        for role, messages in groupby(conversation, lambda message: message.role)
        if role == "assistant"
    ]
    said, expected = "".join(answers), _published(transcript, tokens)
    if not said.startswith(expected) or not _may_follow(
        transcript.broken_off, answers, len(expected)
    ):
        at = next(
            (i for i, (a, b) in enumerate(zip(expected, said, strict=False)) if a != b),
            min(len(expected), len(said)),
        )
        yield TextDiffers(
            f"the published answers differ from the received ones at character {at}",
            expected=repr(expected[at : at + 40]),
            got=repr(said[at : at + 40]),
        )


def _published(transcript: ExportedTranscript, tokens: Tokens) -> str:
    """What an honest host publishes of the assistant's words: those that a first prompt told, too.
    A prompt that no node wrote tells none."""
    written, counted = list[str](), 0
    for number, entry in enumerate(transcript.entries):
        if counted >= tokens:
            break
        counted += entry.billed
        with contextlib.suppress(PromptFormatError):
            said = messages_of(entry, number)
            written += [one.content for one in said if one.role == "assistant"]
    return "".join(written)


def _may_follow(broken_off: Sequence[BrokenOff], answers: Sequence[str], known: int) -> bool:
    """Whether the answers behind the first `known` characters are some of those that broke off,
    in their order, each with what came of it or the beginning of that."""
    rest = list(broken_off)
    end = sum(map(len, answers))
    for answer in reversed(answers):
        start, end = end - len(answer), end - len(answer)
        text = answer[max(0, known - start) :]
        if not text:
            continue
        while rest and not (
            text.startswith(rest[-1].received) or rest[-1].received.startswith(text)
        ):
            rest.pop()
        if not rest:
            return False
        rest.pop()
    return True


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
