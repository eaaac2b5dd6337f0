"""What an entry adds to the conversation that a host publishes in its deltas.

One function for the node, which publishes so, and for the audit, which compares.
"""

from __future__ import annotations

from typing import cast

from .delta import Message, Role
from .prompt import Prompt
from .transcript import Entry, Kind

_ROLES = ("user", "assistant", "system")


def messages_of(
    entry: Entry, number: int, at_ms: int = 0, *, partial: bool = False
) -> tuple[Message, ...]:
    """The messages of the entry with this number. A prompt that opens a new context in the middle
    of a session repeats what was said: only its last message is new.

    Args:
        at_ms: Unix time in milliseconds.
        partial: Whether an answer goes on in the next entry.

    Raises:
        PromptFormatError: when the text of a prompt is not one of `Prompt.text`.
    """
    if entry.kind is Kind.COMPLETION:
        return (Message("assistant", entry.text, at_ms, partial),)
    if entry.kind is Kind.END:
        return ()
    prompt = Prompt.read(entry.text)
    said = prompt.messages if prompt.continues or number == 0 else prompt.messages[-1:]
    return tuple(
        Message(cast(Role, one.role if one.role in _ROLES else "user"), one.content, at_ms)
        for one in said
    )
