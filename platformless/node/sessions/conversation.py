"""What a client's prompt adds to a session's conversation, as tokens.

Pure: `protocol.conversation` says which prompts may stand for the client's text; the model's chat
template decides whether the model goes on with what it has seen or starts anew. When in doubt it
starts anew, which costs time and never changes what the model is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...engine.errors import HistoryRewritten, TemplateRefused
from ...protocol.conversation import Conversation, ways_to_ask
from ...protocol.prompt import ChatMessage, Prompt

__all__ = ["Chat", "Conversation", "Turn", "next_turn"]


class Chat(Protocol):
    """Messages as tokens: `engine.chat.ChatFormat`, without loading llama.cpp."""

    def opening(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]: ...

    def continuation(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model is given next."""

    prompt: Prompt
    """Exactly the messages whose tokens are in this entry."""
    tokens: tuple[int, ...]
    """Tokens of the prompt entry."""
    context: tuple[int, ...]
    """All tokens that the model sees."""


def next_turn(chat: Chat, conversation: Conversation, text: str) -> Turn:
    """What a client's text asks of the model: see `ways_to_ask`. A template that cannot continue
    is given all messages anew.

    Raises:
        TemplateRefused: when the template does not take the messages in any way.
    """
    ways = ways_to_ask(conversation, text)
    if ways.continued is not None:
        try:
            tokens = chat.continuation((*conversation.messages, *ways.continued.messages))
        except (HistoryRewritten, TemplateRefused):
            pass
        else:
            return Turn(ways.continued, tokens, conversation.tokens + tokens)
    tokens = chat.opening(ways.anew.messages)
    return Turn(ways.anew, tokens, tokens)
