"""The decoding thread's work: it alone touches llama.cpp's context.

Each round decodes one token of every running sequence in one call, then one chunk of one prompt:
streams go on while prompts are read, and prompts take turns. A sequence whose reader lags behind
is left out until the reader has caught up.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field

from .context import Context
from .draw import Logits
from .errors import DecodingFailed, EngineClosed, EngineStopped
from .generation import Exchange, Generation
from .model import Model
from .request import Finished, FinishReason, GeneratedToken
from .sampling import TokenSampler
from .settings import EngineSettings
from .slots import Slot, choose_slot, next_chunk, reusable_tokens
from .text import TextStream

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Sequence:
    """A running generation."""

    generation: Generation
    slot: Slot
    sampler: TokenSampler
    text: TextStream
    reused: int
    left: deque[int]
    """Prompt tokens that are not decoded yet."""
    most_tokens: int
    first_position: int
    produced: int = 0
    next_token: int | None = field(default=None)
    """The token last produced, which is decoded next."""


class Decoder:
    """Runs until the exchange closes."""

    def __init__(
        self, model: Model, context: Context, settings: EngineSettings, exchange: Exchange
    ) -> None:
        self._vocabulary = model.vocabulary
        self._context = context
        self._settings = settings
        self._exchange = exchange
        self._slots = [Slot(number) for number in range(settings.sequences)]
        self._streaming: list[Sequence] = []
        self._reading: deque[Sequence] = deque()
        """Sequences whose prompt is not decoded yet; the first is next."""
        self._uses = 0

    def run(self) -> None:
        try:
            while self._round():
                pass
            self._stop(EngineClosed("the engine was closed"))
        except BaseException as error:
            log.exception("the decoding thread ends")
            self._stop(DecodingFailed("the decoding thread ended", got=repr(error)))
            raise

    def _round(self) -> bool:
        """One round; False when the engine closes."""
        with self._exchange.changed:
            while not self._exchange.closing and not self._has_work():
                self._exchange.changed.wait(self._patience_left())
            if self._exchange.closing:
                return False
        self._drop_cancelled()
        self._admit()
        ready = [one for one in self._streaming if one.generation.paused_since is None]
        if ready:
            # llama.cpp decodes together what has rising, adjoining sequence numbers; it cuts the
            # rest into calls of their own.
            ready.sort(key=lambda one: one.slot.number)
            self._step(ready)
            self._exchange.feed()
        if self._reading:
            self._reading.rotate(-1)
            self._read_on(self._reading[-1])
            self._exchange.feed()
        return True

    def _has_work(self) -> bool:
        return (
            bool(self._reading)
            or any(one.generation.paused_since is None for one in self._streaming)
            or any(one.generation.cancelled for one in self._streaming)
            or self._can_admit()
            or self._patience_left() == 0
        )

    def _can_admit(self) -> bool:
        return self._exchange.waiting > 0 and any(not slot.busy for slot in self._slots)

    def _patience_left(self) -> float | None:
        """Seconds until a paused sequence must make room; None while nobody needs any."""
        paused = [one.generation.paused_since for one in self._streaming]
        since = min((at for at in paused if at is not None), default=None)
        if since is None or not self._exchange.waiting:
            return None
        return max(0.0, since + self._settings.patience_seconds - time.monotonic())

    def _drop_cancelled(self) -> None:
        latest = time.monotonic() - self._settings.patience_seconds
        for one in (*self._streaming, *self._reading):
            since = one.generation.paused_since
            if one.generation.cancelled:
                self._finish(one, FinishReason.CANCELLED)
            elif since is not None and since <= latest and self._exchange.waiting:
                log.warning("a reader stayed away too long while others wait: cancelled")
                self._finish(one, FinishReason.CANCELLED)

    def _admit(self) -> None:
        while True:
            with self._exchange.changed:
                if not self._can_admit():
                    return
                generation = self._exchange.admit()
            try:
                self._start(generation)
            except BaseException as error:
                generation.fail(DecodingFailed("cannot start a generation", got=repr(error)))
                raise

    def _start(self, generation: Generation) -> None:
        request = generation.request
        slot = choose_slot(self._slots, request.conversation)
        if slot is None:
            raise AssertionError("admitted without a free slot")
        prompt = request.prompt
        same = request.conversation is not None and slot.conversation == request.conversation
        reused = reusable_tokens(slot.tokens, prompt) if same else 0
        reused = self._context.keep(slot.number, reused)
        del slot.tokens[reused:]
        slot.busy = True
        slot.conversation = request.conversation
        room = self._context.context_size - len(prompt)
        self._reading.append(
            Sequence(
                generation,
                slot,
                TokenSampler(
                    self._vocabulary.size,
                    self._context.context_size,
                    request.sampler,
                    request.seed,
                    prompt,
                ),
                TextStream(request.stop),
                reused,
                deque(prompt[reused:]),
                room if request.max_tokens is None else min(room, request.max_tokens),
                len(prompt) if request.first_position is None else request.first_position,
            )
        )

    def _step(self, ready: list[Sequence]) -> None:
        """Decodes the last token of each and chooses its next."""
        rows = []
        for one in ready:
            if one.next_token is None:
                raise AssertionError("a stream without a token")
            rows.append((one.slot.number, one.next_token, len(one.slot.tokens)))
        try:
            self._context.decode_step(rows)
        except DecodingFailed as error:
            self._fail(ready, error)
            return
        for row, one in enumerate(ready):
            one.slot.tokens.append(rows[row][1])
            self._advance(one, self._context.logits(row))

    def _read_on(self, one: Sequence) -> None:
        """Decodes a chunk of the prompt; with the last one comes the first token."""
        size = next_chunk(len(one.left), self._settings.chunk)
        chunk = [one.left.popleft() for _ in range(size)]
        try:
            self._context.decode_prompt(
                one.slot.number, chunk, len(one.slot.tokens), want_logits=not one.left
            )
        except DecodingFailed as error:
            self._fail([one], error)
            return
        one.slot.tokens.extend(chunk)
        if not one.left:
            self._reading.remove(one)
            self._streaming.append(one)
            self._advance(one, self._context.logits(size - 1))

    def _advance(self, one: Sequence, logits: Logits) -> None:
        """Chooses and hands out a token, or ends the generation."""
        position = one.first_position + one.produced
        try:
            token = one.sampler.choose(logits, position)
        except DecodingFailed as error:
            self._fail([one], error)
            return
        if token in self._vocabulary.end_tokens:
            self._finish(one, FinishReason.STOP, end_token=token)
            return
        one.next_token = token
        one.produced += 1
        one.sampler.accept(token)
        text = one.text.push(self._vocabulary.piece(token))
        one.generation.offer(GeneratedToken(position, token, text))
        if one.text.stopped is not None:
            self._finish(one, FinishReason.STOP)
        elif one.produced >= one.most_tokens:
            self._finish(one, FinishReason.LENGTH)

    def _finish(self, one: Sequence, reason: FinishReason, end_token: int | None = None) -> None:
        self._leave(one)
        one.generation.offer(
            Finished(
                reason,
                prompt_tokens=len(one.generation.request.prompt),
                completion_tokens=one.produced,
                reused_tokens=one.reused,
                text=one.text.finish(),
                end_token=end_token,
            )
        )

    def _fail(self, failed: list[Sequence], error: EngineStopped) -> None:
        log.error("generations failed: %s", error)
        for one in failed:
            self._leave(one)
            self._context.keep(one.slot.number, 0)
            one.slot.tokens.clear()
            one.generation.fail(error)

    def _leave(self, one: Sequence) -> None:
        if one in self._reading:
            self._reading.remove(one)
        else:
            self._streaming.remove(one)
        one.sampler.close()
        self._uses += 1
        one.slot.last_used = self._uses
        one.slot.busy = False
        if one.generation.request.conversation is None:
            one.slot.tokens.clear()
        self._exchange.release()

    def _stop(self, error: EngineStopped) -> None:
        with self._exchange.changed:
            waiting = self._exchange.close()
        for generation in waiting:
            generation.fail(error)
        for one in (*self._streaming, *self._reading):
            self._leave(one)
            one.generation.fail(error)
        self._exchange.feed()  # whoever got a token in the round that broke off
