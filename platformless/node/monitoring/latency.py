"""What prompts wait for the first token of their answer."""

from __future__ import annotations

import time

from .autoscaling import LATENCY_SECONDS
from .windows import Clock, Window, percentile

_MOST = 95 / 100


class FirstTokens:
    """Of the last five minutes; prompts that still wait count with what they have waited."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._waited = Window(LATENCY_SECONDS, clock=clock)
        self._waiting: dict[object, float] = {}
        self._last = clock()

    def begin(self) -> object:
        """A prompt has come; returns what it is called here."""
        prompt = object()
        self._last = self._waiting[prompt] = self._clock()
        return prompt

    def arrived(self, prompt: object) -> float | None:
        """Its first token is sent. Seconds that it waited; None when that was told already."""
        began = self._waiting.pop(prompt, None)
        if began is None:
            return None
        waited = self._clock() - began
        self._waited.add(waited)
        return waited

    def end(self, prompt: object) -> None:
        """It waits no longer."""
        self._waiting.pop(prompt, None)

    def most_seconds(self) -> float:
        """95 % waited no longer; 0 when there were no prompts."""
        now = self._clock()
        still = [now - began for began in self._waiting.values()]
        return percentile([*self._waited.values(), *still], _MOST)

    @property
    def silent_seconds(self) -> float:
        """Since the last prompt came."""
        return self._clock() - self._last
