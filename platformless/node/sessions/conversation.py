"""What a client's prompt adds to a session's conversation.

A client sends one text per request. Either it is the newest message, and the host remembers the
conversation; or the client has flattened the conversation into it. Pure: reads the conversation
back from the transcript, and decides whether the model goes on with what it has seen or starts
anew. When in doubt it starts anew, which costs time and never changes what the model is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...engine.errors import HistoryRewritten, TemplateRefused
from ...protocol.prompt import ChatMessage, Prompt
from ...protocol.transcript import Entry, Kind

_LINE = re.compile(r"^(User|Human|Assistant|System):(?!\S)", re.MULTILINE)
_ROLES = {"User": "user", "Human": "user", "Assistant": "assistant", "System": "system"}

# gpt-oss's "harmony" tags; the channel tells what was said (final) from what was thought.
_TAGGED = re.compile(
    r"<\|start\|>(system|developer|user|assistant)(?:<\|channel\|>(\w+))?<\|message\|>"
    r"(.*?)(?:<\|end\|>|<\|return\|>)\s*",
    re.DOTALL,
)
_TAGGED_END = re.compile(r"(?:<\|start\|>assistant(?:<\|channel\|>\w+)?(?:<\|message\|>)?)?")


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


def read_prompt(text: str) -> tuple[ChatMessage, ...]:
    """The messages of a flattened prompt; of any other text one user message, unchanged.

    A text is flattened in one of two ways, surrounding whitespace aside, and is otherwise not
    taken apart, whatever it mentions:

    Lines: it begins with a marker (`User:`, `Human:`, `Assistant:` or `System:`, spelled so, at
    the start of a line, then whitespace), and an `Assistant:` marker is somewhere in it: a
    conversation has an answer or awaits one, a list of fields has not. `System:` counts only at
    the very beginning.

    Tags: it is wholly made of harmony messages, and perhaps an open `<|start|>assistant`.
    `developer` is read as system; what the assistant said in other channels than `final` is left
    out.

    In both, an empty last message of the assistant is dropped, and then the last message must be
    the user's; contents lose surrounding whitespace. A line within a message that looks like a
    marker of a flattened conversation cannot be told from one.
    """
    return _flattened(text) or (ChatMessage("user", text),)


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
    flattened = _flattened(text)
    if flattened is None:
        new: tuple[ChatMessage, ...] = (ChatMessage("user", text),)
        if not conversation.answered:
            return _opened(chat, (*conversation.without_unanswered(), *new))
    else:
        told = _up_to_last_answer(flattened)
        if not (told and _ends_with(conversation.messages, told)):
            return _opened(chat, flattened)
        new = flattened[len(told) :]
    messages = (*conversation.messages, *new)
    try:
        tokens = chat.continuation(messages)
    except (HistoryRewritten, TemplateRefused):
        return _opened(chat, messages)
    return Turn(Prompt(new, continues=True), tokens, conversation.tokens + tokens)


def flatten(messages: Sequence[tuple[str, str]]) -> str:
    """Roles and contents as one text that `read_prompt` takes apart again (harmony's tags)."""
    return "".join(f"<|start|>{role}<|message|>{content}<|end|>" for role, content in messages)


def _opened(chat: Chat, messages: tuple[ChatMessage, ...]) -> Turn:
    tokens = chat.opening(messages)
    return Turn(Prompt(messages), tokens, tokens)


def _flattened(text: str) -> tuple[ChatMessage, ...] | None:
    """The messages of a flattened prompt; None when it is not flattened."""
    stripped = text.strip()
    messages = _tagged(stripped) or _lines(stripped)
    if messages and messages[-1] == ChatMessage("assistant", ""):
        messages.pop()
    if not messages or messages[-1].role != "user":
        return None
    return tuple(messages)


def _tagged(text: str) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    at = 0
    while found := _TAGGED.match(text, at):
        role, channel, content = found.groups()
        if channel in (None, "final"):
            role = "system" if role == "developer" else role
            messages.append(ChatMessage(role, content.strip()))
        at = found.end()
    return messages if _TAGGED_END.fullmatch(text, at) else []


def _lines(text: str) -> list[ChatMessage]:
    marks = [mark for mark in _LINE.finditer(text) if mark.start() == 0 or mark[1] != "System"]
    if not marks or marks[0].start() > 0 or all(mark[1] != "Assistant" for mark in marks):
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [
        ChatMessage(_ROLES[mark[1]], text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    ]


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
