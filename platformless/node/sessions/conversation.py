"""What a client's prompt adds to a session's conversation.

A client sends one text per request. Either it is the newest message, and the host remembers the
conversation; or the client has flattened the conversation into it. Pure: reads the conversation
back from the transcript, and decides whether the model goes on with what it has seen or starts
anew. When in doubt it starts anew, which costs time and never changes what the model is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...engine.errors import HistoryRewritten, TemplateRefused
from ...protocol.flattened import flattened
from ...protocol.prompt import ChatMessage, Prompt
from ...protocol.transcript import Entry, Kind


class Chat(Protocol):
    """Messages as tokens: `engine.chat.ChatFormat`, without loading llama.cpp."""

    def opening(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]: ...

    def continuation(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the model has seen and said: the current context of a transcript."""

    messages: tuple[ChatMessage, ...] = ()
    tokens: tuple[int, ...] = ()
    """All tokens since the last prompt that did not continue, answers included."""

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Conversation:
        """Reads a transcript. Completions without a prompt in between are one answer.

        Raises:
            PromptFormatError: when the text of a prompt entry is not one of `Prompt.text`.
        """
        messages: list[ChatMessage] = []
        tokens: list[int] = []
        before = Kind.NONE
        for entry in entries:
            if entry.kind is Kind.PROMPT:
                prompt = Prompt.read(entry.text)
                if not prompt.continues:
                    messages, tokens = [], []
                messages += prompt.messages
            elif entry.kind is Kind.COMPLETION:
                said = messages.pop().content if before is Kind.COMPLETION else ""
                messages.append(ChatMessage("assistant", said + entry.text))
            tokens += entry.tokens
            before = entry.kind
        return cls(tuple(messages), tuple(tokens))

    @property
    def answered(self) -> bool:
        """Whether the last word is the model's."""
        return bool(self.messages) and self.messages[-1].role == "assistant"

    def without_unanswered(self) -> tuple[ChatMessage, ...]:
        """The messages but for the last questions, if no answer was given to them."""
        end = len(self.messages)
        while end and self.messages[end - 1].role == "user":
            end -= 1
        return self.messages[:end]


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
    """What a client's text asks of the model.

    After an answer, a single message continues the conversation. So does a flattened prompt when
    what it tells up to its last answer is how the conversation ended (system messages and
    surrounding whitespace aside; earlier turns may be missing): only what follows that answer is
    new. Any other flattened prompt is a new context. A question that was never answered is left
    out when the next one comes. A template that cannot continue is given all messages anew.

    Raises:
        TemplateRefused: when the template does not take the messages in any way.
    """
    told_all = flattened(text)
    if told_all is None:
        new: tuple[ChatMessage, ...] = (ChatMessage("user", text),)
        if not conversation.answered:
            return _opened(chat, (*conversation.without_unanswered(), *new))
    else:
        told = _up_to_last_answer(told_all)
        if not (told and _ends_with(conversation.messages, told)):
            return _opened(chat, told_all)
        new = told_all[len(told) :]
    messages = (*conversation.messages, *new)
    try:
        tokens = chat.continuation(messages)
    except (HistoryRewritten, TemplateRefused):
        return _opened(chat, messages)
    return Turn(Prompt(new, continues=True), tokens, conversation.tokens + tokens)


def _opened(chat: Chat, messages: tuple[ChatMessage, ...]) -> Turn:
    tokens = chat.opening(messages)
    return Turn(Prompt(messages), tokens, tokens)


def _up_to_last_answer(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    end = len(messages)
    while end and messages[end - 1].role != "assistant":
        end -= 1
    return messages[:end]


def _ends_with(messages: tuple[ChatMessage, ...], told: tuple[ChatMessage, ...]) -> bool:
    """Whether a conversation ended as it is told."""
    known, claimed = (
        [(one.role, one.content.strip()) for one in some if one.role != "system"]
        for some in (messages, told)
    )
    return known[-len(claimed) :] == claimed
