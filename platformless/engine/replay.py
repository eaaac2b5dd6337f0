"""Teacher-forced replay: what the model would have said at every token of a transcript.

All tokens are known, so they are decoded as a prompt is, many at once. Whether that gives the
very bits that the host had goes by how the host decoded (measured, docs/replay.md):

- With flash attention, one decoding thread, prompts in chunks of 2 to 63 tokens and no layers on
  a GPU, a token gets the same logits decoded alone, beside other sequences, or in a chunk of up to
  63 tokens by any number of threads. `EXACT_CHUNK` tokens at once are then a bit-exact replay.
- In every other case one token at a time takes another order of additions than a prompt does.
  Logits differ by a few tenths, and a replay can only be a statistical one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from .context import Context
from .draw import Logits
from .model import Model, Vocabulary
from .replay_plan import AnswerPlace, ReplayContext, require_replayable
from .settings import EngineSettings, KvType

log = logging.getLogger(__name__)

EXACT_CHUNK = 32
_STATISTICAL_CHUNK = 512
_MOST_LOGITS = 1 << 25
"""Logits of one chunk, 128 MiB."""
_CONTEXT_STEP = 256
OnProgress = Callable[[int, int], None]
"""Is told of tokens decoded, and of all tokens. What it raises ends the replay."""


@dataclass(frozen=True, slots=True)
class ReplayedRow:
    """The model's logits for one place of an answer."""

    answer: AnswerPlace
    context: tuple[int, ...]
    """All tokens of the context; the row is for the one at `place`."""
    place: int
    logits: Logits
    """Valid until the next row."""

    @property
    def index(self) -> int:
        """Place in the entry; the entry's length for what would have come next."""
        return self.place - self.answer.start

    @property
    def token(self) -> int | None:
        """What the transcript has there; None behind the answer's last token."""
        return self.context[self.place] if self.place < self.answer.end else None


def exact_settings(
    model: Path | None, kv_type: KvType = KvType.F16, threads: int = 0
) -> EngineSettings:
    """For a host that decoded as `replay` says above."""
    return EngineSettings(
        model_path=model,
        sequences=1,
        context_tokens=0,
        prompt_chunk_tokens=EXACT_CHUNK,
        threads=threads,
        lone_threads=1,  # the last chunk may be a single token
        kv_type=kv_type,
        flash_attention=True,
    )


def statistical_settings(
    model: Path | None,
    kv_type: KvType = KvType.F16,
    flash_attention: bool = False,
    threads: int = 0,
) -> EngineSettings:
    """As fast as it goes, for any other host."""
    return replace(
        exact_settings(model, kv_type, threads),
        prompt_chunk_tokens=_STATISTICAL_CHUNK,
        flash_attention=flash_attention or kv_type is KvType.Q8_0,
    )


class Replayer:
    """A loaded model that replays transcripts, one after another. Used by one thread."""

    def __init__(self, model: Model, settings: EngineSettings) -> None:
        self._model = model
        self._settings = settings
        self._chunk = max(min(settings.chunk, _MOST_LOGITS // model.vocabulary.size), EXACT_CHUNK)

    @classmethod
    def open(cls, settings: EngineSettings) -> Self:
        """Loads the model; takes seconds.

        Raises:
            ModelError: when the file cannot be used.
        """
        return cls(Model.load(settings), settings)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._model.vocabulary

    @property
    def chat_template(self) -> str | None:
        return self._model.chat_template

    @property
    def context_size(self) -> int:
        """Tokens that the model was trained for."""
        return self._model.trained_context

    def rows(
        self, contexts: Sequence[ReplayContext], on_progress: OnProgress | None = None
    ) -> Generator[ReplayedRow, None, None]:
        """The rows of all tokens of all answers, and one behind each answer, in order. Close it,
        or read it to its end: it holds a context of llama.cpp.

        Raises:
            ContextTooLong, ForeignTokens: before anything is decoded.
            ContextNotCreated, DecodingFailed: when llama.cpp fails.
        """
        require_replayable(contexts, self.context_size, self.vocabulary.size)
        return self._rows(contexts, on_progress)

    def close(self) -> None:
        self._model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rows(
        self, contexts: Sequence[ReplayContext], on_progress: OnProgress | None
    ) -> Generator[ReplayedRow, None, None]:
        longest = max(len(one.tokens) for one in contexts)
        size = -(-longest // _CONTEXT_STEP) * _CONTEXT_STEP
        llama = Context(
            self._model,
            replace(self._settings, context_tokens=size, prompt_chunk_tokens=self._chunk),
        )
        total, done = sum(len(one.tokens) for one in contexts), 0
        try:
            for context in contexts:
                llama.keep(0, 0)
                wanted = _wanted(context)
                for start in range(0, len(context.tokens), self._chunk):
                    part = context.tokens[start : start + self._chunk]
                    places = range(start + 1, start + 1 + len(part))
                    llama.decode_marked(0, part, start, [place in wanted for place in places])
                    for row, place in enumerate(places):
                        if place in wanted:
                            yield ReplayedRow(
                                wanted[place], context.tokens, place, llama.logits(row)
                            )
                    done += len(part)
                    if on_progress is not None:
                        on_progress(done, total)
        finally:
            llama.close()


def _wanted(context: ReplayContext) -> dict[int, AnswerPlace]:
    """The answers of the places whose logits are asked for."""
    wanted: dict[int, AnswerPlace] = {}
    for answer in context.answers:
        for place in range(answer.start, answer.end + answer.last):
            wanted[place] = answer
    return wanted
