"""What the sampler makes of replayed logits, token by token: the choice, and the margin of what the
transcript has instead."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from ..protocol.digests import Seed
from ..protocol.transcript import Entry
from .draw import draw
from .margins import margin
from .replay import OnProgress, ReplayedRow, Replayer
from .replay_plan import AnswerPlace, contexts_of
from .sampling import TokenSampler, check_sampler


@dataclass(frozen=True, slots=True)
class JudgedToken:
    """A token of an answer beside the one that the replay chooses there."""

    entry: int
    """Number of the entry in the transcript."""
    index: int
    """Place of the token in the entry."""
    position: int
    """Completion tokens of the session before it."""
    token: int
    chosen: int
    """What sampler and draw make of the replayed logits; an end-of-generation token where the
    model ends its answer."""
    margin: float
    """See `margins`; 0 when `chosen` is `token`."""


@dataclass(frozen=True, slots=True)
class JudgedEnd:
    """What the replay chooses behind the last token of an answer."""

    entry: int
    chosen: int


def judged(
    replayer: Replayer,
    entries: Sequence[Entry],
    seed: Seed,
    on_progress: OnProgress | None = None,
) -> Generator[JudgedToken | JudgedEnd, None, None]:
    """Every completion token of a transcript, and the end of every answer, in order.

    Raises:
        NothingBefore, ContextTooLong, ForeignTokens, SamplerNotUsable: before anything is decoded.
        ContextNotCreated, DecodingFailed: when llama.cpp fails.
    """
    contexts = contexts_of(entries)
    for context in contexts:
        for answer in context.answers:
            check_sampler(answer.sampler)
    return _judged(replayer, replayer.rows(contexts, on_progress), seed)


def _judged(
    replayer: Replayer, rows: Generator[ReplayedRow, None, None], seed: Seed
) -> Generator[JudgedToken | JudgedEnd, None, None]:
    sampler: TokenSampler | None = None
    current: AnswerPlace | None = None
    with closing(rows):
        try:
            for row in rows:
                if row.answer is not current:
                    if sampler is not None:
                        sampler.close()
                    current = row.answer
                    sampler = TokenSampler(
                        replayer.vocabulary.size,
                        replayer.context_size,
                        current.sampler,
                        seed,
                        row.context[: row.place],
                    )
                assert sampler is not None  # noqa: S101 - made with the first row
                yield _judge(row, sampler, seed)
        finally:
            if sampler is not None:
                sampler.close()


def _judge(row: ReplayedRow, sampler: TokenSampler, seed: Seed) -> JudgedToken | JudgedEnd:
    answer, token = row.answer, row.token
    position = answer.position + row.index
    chosen = sampler.choose(row.logits, position)
    if token is None:
        return JudgedEnd(answer.entry, chosen)
    sampler.accept(token)
    drawn = 0 if token == chosen else draw(seed, position)
    recent = row.context[max(0, row.place - answer.sampler.repeat_last_n) : row.place]
    off = margin(row.logits, token, chosen, answer.sampler, drawn, recent)
    return JudgedToken(answer.entry, row.index, position, token, chosen, off)
