"""What a replay decodes: the contexts of a transcript, and the tokens in them that are checked.

Pure. A prompt that does not continue begins a context; everything up to the next such prompt is
appended, answers included. Where the text of a prompt is not that of `Prompt` (records that were
not made by the node), it continues what was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..protocol.prompt import begins_context
from ..protocol.transcript import Entry, Kind, Sampler
from .errors import ContextTooLong, ForeignTokens, NothingBefore


@dataclass(frozen=True, slots=True)
class AnswerPlace:
    """A completion entry, and where its tokens lie in its context."""

    entry: int
    """Number of the entry in the transcript."""
    start: int
    """Place of its first token in the context."""
    end: int
    position: int
    """Completion tokens of the session before it: what its draws count from."""
    sampler: Sampler
    last: bool
    """Whether the answer ends here: no further completion follows at once."""


@dataclass(frozen=True, slots=True)
class ReplayContext:
    """Tokens that the model saw one after another, from an empty memory on."""

    tokens: tuple[int, ...]
    answers: tuple[AnswerPlace, ...]


def contexts_of(entries: Sequence[Entry]) -> tuple[ReplayContext, ...]:
    """The contexts of a transcript in which something was answered.

    Raises:
        NothingBefore: when an answer has nothing before it, or nothing was answered at all.
    """
    contexts: list[ReplayContext] = []
    tokens: list[int] = []
    answers: list[AnswerPlace] = []
    position = 0

    def close() -> None:
        if answers:
            contexts.append(ReplayContext(tuple(tokens[: answers[-1].end]), tuple(answers)))
        tokens.clear()
        answers.clear()

    for number, entry in enumerate(entries):
        if begins_context(entry):
            close()
        if entry.kind is Kind.COMPLETION and entry.tokens:
            if not tokens:
                raise NothingBefore("an answer without a prompt", got=f"entry {number}")
            start = len(tokens)
            goes_on = number + 1 < len(entries) and entries[number + 1].kind is Kind.COMPLETION
            answers.append(
                AnswerPlace(
                    number, start, start + entry.billed, position, entry.sampler, not goes_on
                )
            )
            position += entry.billed
        tokens += entry.tokens
    close()
    if not contexts:
        raise NothingBefore("nothing was answered in this transcript")
    return tuple(contexts)


def require_replayable(
    contexts: Sequence[ReplayContext], context_tokens: int, vocabulary_size: int
) -> None:
    """Raises:
    ContextTooLong: when a context is longer than the model's.
    ForeignTokens: when a token is outside the vocabulary.
    """
    longest = max(len(context.tokens) for context in contexts)
    if longest > context_tokens:
        raise ContextTooLong(
            "the transcript has a longer context than the model",
            expected=f"at most {context_tokens} tokens",
            got=f"{longest} tokens",
        )
    largest = max(max(context.tokens) for context in contexts)
    if largest >= vocabulary_size:
        raise ForeignTokens(
            "a token outside the vocabulary",
            expected=f"0 to {vocabulary_size - 1}",
            got=largest,
        )
