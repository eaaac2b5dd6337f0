"""Text out of tokens: whole characters only, and an end at a stop string.

Tokens are bytes; a character may span several. Incomplete UTF-8 is held back until it is whole,
and so is text that might be the beginning of a stop string. Nothing is lost: what is still held
at the end comes out with `finish`, bytes that never became a character as U+FFFD.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable


class TextStream:
    """Turns the bytes of tokens into text, piece by piece."""

    def __init__(self, stops: Iterable[str] = ()) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped: str | None = None
        """The stop string that was met; the text before it came out, it itself never does."""

    def push(self, piece: bytes) -> str:
        """The text that is certain once `piece` has been seen."""
        return self._release(self._decoder.decode(piece))

    def finish(self) -> str:
        """The rest, when no more tokens come."""
        if self.stopped is not None:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        if self.stopped is None:
            text += self._held
            self._held = ""
        return text

    def _release(self, text: str) -> str:
        if self.stopped is not None:
            return ""
        self._held += text
        found = [(at, stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            at, self.stopped = min(found)
            out, self._held = self._held[:at], ""
            return out
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
