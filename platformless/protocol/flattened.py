"""Prompts into which a client has flattened a conversation, taken apart again.

The existing client sends one text per request; its callers flatten earlier turns into it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .prompt import ChatMessage

_LINE = re.compile(r"^(User|Human|Assistant|System):(?!\S)", re.MULTILINE)
_ROLES = {"User": "user", "Human": "user", "Assistant": "assistant", "System": "system"}

# gpt-oss's "harmony" tags; the channel tells what was said (final) from what was thought.
_TAGGED = re.compile(
    r"<\|start\|>(system|developer|user|assistant)(?:<\|channel\|>(\w+))?<\|message\|>"
    r"(.*?)(?:<\|end\|>|<\|return\|>)\s*",
    re.DOTALL,
)
_TAGGED_END = re.compile(r"(?:<\|start\|>assistant(?:<\|channel\|>\w+)?(?:<\|message\|>)?)?")


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
    return flattened(text) or (ChatMessage("user", text),)


def flatten(messages: Sequence[tuple[str, str]]) -> str:
    """Roles and contents as one text that `read_prompt` takes apart again (harmony's tags)."""
    return "".join(f"<|start|>{role}<|message|>{content}<|end|>" for role, content in messages)


def flattened(text: str) -> tuple[ChatMessage, ...] | None:
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
