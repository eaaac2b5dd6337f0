"""Slots: the sequences of a context, and what each keeps of its last conversation.

A slot keeps the attention cache of its last conversation until somebody else needs it. Only a
request of the same conversation takes it up: reuse across conversations would show one client, by
the time to the first token, what another has asked.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

REDECODED_TOKENS = 2
"""Least prompt tokens that are decoded: the last one's logits are needed, and two at once take
the same arithmetic as a whole prompt does, while one alone does not."""


@dataclass(slots=True)
class Slot:
    """One sequence of the context."""

    number: int
    tokens: list[int] = field(default_factory=list)
    """Tokens whose keys and values are in the cache, from position 0 on."""
    conversation: Hashable | None = None
    busy: bool = False
    last_used: int = 0
    """A counter that grows with every use of any slot."""


def reusable_tokens(cached: Sequence[int], prompt: Sequence[int]) -> int:
    """How many tokens at the start of `prompt` need no decoding."""
    most = min(len(cached), max(len(prompt) - REDECODED_TOKENS, 0))
    return next((at for at in range(most) if cached[at] != prompt[at]), most)


def choose_slot(slots: Sequence[Slot], conversation: Hashable | None) -> Slot | None:
    """A slot for a request: that of its conversation, else an empty one, else the one unused for
    longest; None when all are busy."""
    idle = [slot for slot in slots if not slot.busy]
    if conversation is not None:
        for slot in idle:
            if slot.conversation == conversation:
                return slot
    return min(idle, key=lambda slot: (bool(slot.tokens), slot.last_used), default=None)


def next_chunk(left: int, limit: int) -> int:
    """How many of the `left` prompt tokens to decode now: at most `limit`, never leaving one."""
    if left <= limit:
        return left
    return limit if left - limit != 1 else limit - 1
