"""What a client's text adds to a session's conversation, and the prompts that may say so.

A client sends one text per request. Either it is the newest message, and the host remembers the
conversation; or the client has flattened the conversation into it. Pure: the node makes its prompts
of this, and the client knows by it which prompts an honest node can have made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .flattened import flattened
from .prompt import ChatMessage, Prompt
from .transcript import Entry, Kind


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
class Ways:
    """The prompts that may stand for a text."""

    anew: Prompt
    """All that the model is told, in a new context."""
    continued: Prompt | None = None
    """What is new, where the model can go on with what it has seen: taken wherever the chat
    template can continue."""


def ways_to_ask(conversation: Conversation, text: str) -> Ways:
    """What a client's text asks of the model.

    After an answer, a single message continues the conversation. So does a flattened prompt when
    what it tells up to its last answer is how the conversation ended (system messages and
    surrounding whitespace aside; earlier turns may be missing): only what follows that answer is
    new. Any other flattened prompt is a new context. A question that was never answered is left
    out when the next one comes.
    """
    told_all = flattened(text)
    if told_all is None:
        new: tuple[ChatMessage, ...] = (ChatMessage("user", text),)
        if not conversation.answered:
            return Ways(Prompt((*conversation.without_unanswered(), *new)))
    else:
        told = _up_to_last_answer(told_all)
        if not (told and _ends_with(conversation.messages, told)):
            return Ways(Prompt(told_all))
        new = told_all[len(told) :]
    return Ways(Prompt((*conversation.messages, *new)), Prompt(new, continues=True))


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
