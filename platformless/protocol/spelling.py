"""How many tokens a text can have: what a reader without the model can say of padding.

A token that is no marker spells at least one byte, and a node counts tokens only with text that
they led to: what the model says behind its last text is not counted.
"""

from __future__ import annotations

SILENT_TOKENS = 32
"""Tokens of an answer that may spell nothing: markers of the chat template that the model says in
the middle, and those of a stop string that began within what was held back for it."""


def most_tokens(text: str) -> int:
    """The most tokens that an honest node counts for an answer of this text."""
    return len(text.encode()) + SILENT_TOKENS if text else 0
