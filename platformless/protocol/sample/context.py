"""The part of a transcript that a model saw in one context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..digests import TraceRoot
from ..header import SessionHeader
from ..prompt import begins_context
from ..transcript import Entry, State, Tokens
from ..window import Window


@dataclass(frozen=True, slots=True)
class Context:
    """The entries that the model saw in one context, from an empty memory on."""

    header: SessionHeader
    before: State
    """The transcript before the first of them."""
    entries: tuple[Entry, ...]

    @classmethod
    def last_of(cls, header: SessionHeader, entries: Sequence[Entry]) -> Context:
        """The context in which a transcript ends: from the last prompt on that continues nothing,
        or from the first entry. `entries` are all of the transcript's."""
        begins = [number for number, entry in enumerate(entries) if begins_context(entry)]
        first = begins[-1] if begins else 0
        before = State.initial(header).extend(header, entries[:first])
        return cls(header, before, tuple(entries[first:]))

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(token for entry in self.entries for token in entry.tokens)

    @property
    def after(self) -> State:
        return self.before.extend(self.header, self.entries)

    def window(self, root: TraceRoot) -> Window:
        """As a checkpoint of its own; its number only says whether anything came before."""
        number = int(self.before.entries > 0)
        return Window(self.header, number, self.before, self.entries, trace_root=root)


def covered_tokens(context_before: Tokens, before: Tokens, after: Tokens) -> Tokens:
    """How many of the tokens that a checkpoint bills are in the context that was traced.

    Args:
        context_before: Completion tokens of the transcript before the context.
        before, after: Those before and after the checkpoint, with whose end the context ends.
    """
    return Tokens(after - min(after, max(before, context_before)))
