"""How long a worker's traces take."""

from __future__ import annotations

from collections import deque

from ...protocol.trace.layout import TraceLayout
from ...protocol.trace.nodes import ModelShape

_SECONDS_PER_TOKEN_AND_BYTE = 3e-10
"""Of the model's file, for a first token: guessed until something was traced."""
_RUNS_REMEMBERED = 8


class TracePace:
    """Goes by the bytes of a trace, which grow faster than its tokens, and by the best of the last
    runs: what slows down a run, such as another worker's proof, need not be there the next time.
    """

    def __init__(self, shape: ModelShape, model_bytes: int) -> None:
        self._shape = shape
        self._guess = model_bytes * _SECONDS_PER_TOKEN_AND_BYTE / self._bytes(1)
        self._measured: deque[float] = deque(maxlen=_RUNS_REMEMBERED)

    def expected_seconds(self, tokens: int) -> float:
        return self._bytes(tokens) * min(self._measured, default=self._guess)

    def took(self, tokens: int, seconds: float) -> None:
        """A trace was made."""
        self._measured.append(seconds / self._bytes(tokens))

    def _bytes(self, tokens: int) -> int:
        return TraceLayout(self._shape, tokens).counted_bytes
