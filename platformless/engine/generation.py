"""A generation as its reader sees it, and what event loops and the decoding thread share."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Hashable
from types import TracebackType
from typing import Self

from .errors import EngineClosed, EngineStopped, QueueFull
from .request import Finished, FinishReason, GenerationRequest, Step
from .waiting import WaitingLine


class Exchange:
    """The shared state. `changed` is its lock, held for moments only; it is notified whenever the
    decoding thread may have something to do."""

    def __init__(self, sequences: int, waiting_requests: int) -> None:
        self.changed = threading.Condition()
        self.closing = False
        self.running = 0
        """Generations that have a sequence."""
        self._sequences = sequences
        self._waiting_requests = waiting_requests
        self._line: WaitingLine[Generation] = WaitingLine()
        self._hungry: dict[asyncio.AbstractEventLoop, list[asyncio.Event]] = {}

    @property
    def waiting(self) -> int:
        return len(self._line)

    def join(self, generation: Generation) -> None:
        """Puts a generation in line.

        Raises:
            EngineClosed, QueueFull
        """
        with self.changed:
            if self.closing:
                raise EngineClosed("the engine was closed")
            most = self._sequences + self._waiting_requests
            if self.running + self.waiting >= most:
                raise QueueFull(
                    "too many requests", expected=f"at most {most}", got=self.running + self.waiting
                )
            self._line.join(generation.owner, generation)
            self._tell_places()
            self.changed.notify()

    def withdraw(self, generation: Generation) -> bool:
        """Takes a generation out of line; whether it was there. Call with the lock held."""
        was_waiting = self._line.leave(generation.owner, generation)
        if was_waiting:
            self._tell_places()
        return was_waiting

    def admit(self) -> Generation:
        """Takes the next out of line to run it. Call with the lock held."""
        generation = self._line.next()
        self.running += 1
        generation.move_to(0)
        self._tell_places()
        return generation

    def release(self) -> None:
        """A running generation has ended."""
        with self.changed:
            self.running -= 1
            self._tell_places()

    def close(self) -> list[Generation]:
        """No more generations; returns those in line. Call with the lock held."""
        self.closing = True
        left = self._line.in_order()
        for generation in left:
            self._line.leave(generation.owner, generation)
        return left

    def feed_later(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
        """Notes a reader that has something to read. Decoding thread only."""
        self._hungry.setdefault(loop, []).append(ready)

    def feed(self) -> None:
        """Wakes the readers noted since the last call, an event loop once: woken one by one, they
        would take turns with the decoding thread at Python's lock. Decoding thread only."""
        hungry, self._hungry = self._hungry, {}
        for loop, readers in hungry.items():
            with contextlib.suppress(RuntimeError):  # closed: nobody reads any more
                loop.call_soon_threadsafe(_set_all, readers)

    def _tell_places(self) -> None:
        free = self._sequences - self.running
        for place, generation in enumerate(self._line.in_order(), start=1):
            generation.move_to(max(0, place - free))


class Generation:
    """One answer in the making: an asynchronous iterator of its steps, the last a `Finished`.

    Belongs to the event loop in which it was made. Used as a context manager, it is cancelled on
    exit. Raises `EngineStopped` from the iteration when the engine cannot go on.
    """

    def __init__(self, request: GenerationRequest, exchange: Exchange, unread_tokens: int) -> None:
        self.request = request
        self.owner: Hashable = self if request.conversation is None else request.conversation
        self.cancelled = False
        self.paused_since: float | None = None
        """When the reader had left too much unread; seconds of the monotonic clock."""
        self._exchange = exchange
        self._changed = exchange.changed
        self._unread_tokens = unread_tokens
        self._steps: deque[Step] = deque()
        self._error: EngineStopped | None = None
        self._ended = False
        self._place = 0
        self._loop = asyncio.get_running_loop()
        self._hungry = False
        self._watched = False
        self._ready = asyncio.Event()
        self._moved = asyncio.Event()

    # The reader's side.

    @property
    def queue_position(self) -> int:
        """0 once it runs (or is about to), 1 for the next that starts."""
        return self._place

    async def positions(self) -> AsyncIterator[int]:
        """The queue position now and whenever it changes, until it is 0."""
        last = -1
        while last != 0:
            with self._changed:
                self._watched = True
                self._moved.clear()
                place = self._place
            if place != last:
                yield place
                last = place
            else:
                await self._moved.wait()

    def cancel(self) -> None:
        """Stops within one token. What was generated can still be read, then a `Finished`."""
        with self._changed:
            if self.cancelled or self._ended:
                return
            self.cancelled = True
            if self._exchange.withdraw(self):
                prompt = len(self.request.prompt)
                self._end(Finished(FinishReason.CANCELLED, prompt, 0, 0, ""))
            self._changed.notify()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Step:
        while True:
            with self._changed:
                if self._steps:
                    return self._take()
                if self._error is not None:
                    raise self._error
                if self._ended:
                    raise StopAsyncIteration
                self._hungry = True
                self._ready.clear()
            await self._ready.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.cancel()

    def _take(self) -> Step:
        step = self._steps.popleft()
        if self.paused_since is not None and len(self._steps) <= self._unread_tokens // 2:
            self.paused_since = None
            self._changed.notify()
        return step

    # The decoding thread's side.

    def offer(self, step: Step) -> None:
        """Hands a step to the reader, who is woken by the next `Exchange.feed`; a `Finished` is the
        last."""
        with self._changed:
            if isinstance(step, Finished):
                self._end(step)
                return
            self._steps.append(step)
            if len(self._steps) >= self._unread_tokens:
                self.paused_since = time.monotonic()
            if self._hungry:
                self._hungry = False
                self._exchange.feed_later(self._loop, self._ready)
            if self._loop.is_closed():
                self.cancelled = True

    def fail(self, error: EngineStopped) -> None:
        """Ends the generation; the reader gets `error` after what it has not read."""
        with self._changed:
            self._error = error
            self._ended = True
            self.move_to(0)
            self._feed()

    def move_to(self, place: int) -> None:
        """Notes the place in line. Called with the lock held."""
        if place != self._place:
            self._place = place
            if self._watched:
                self._watched = False
                self._tell(self._moved)

    def _end(self, finished: Finished) -> None:
        self._steps.append(finished)
        self._ended = True
        self.move_to(0)
        self._feed()

    def _feed(self) -> None:
        if self._hungry:
            self._hungry = False
            self._tell(self._ready)

    def _tell(self, event: asyncio.Event) -> None:
        try:
            self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:  # the reader's event loop is closed: nobody reads any more
            self.cancelled = True


def _set_all(events: list[asyncio.Event]) -> None:
    for event in events:
        event.set()
