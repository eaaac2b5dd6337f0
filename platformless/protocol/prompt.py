"""The text of a prompt entry: what was said, and whether the model still sees what was before.

Compact canonical JSON, so that who has the transcript can read the conversation, and who has the
model as well can make the tokens from it again with the model's chat template.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from ..decoding import decode_json
from . import canonical
from .errors import PromptFormatError
from .transcript import Entry, Kind


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`role` is system, user or assistant, or whatever else the chat template knows."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the client said since the last answer."""

    messages: tuple[ChatMessage, ...]
    continues: bool = False
    """Whether the model sees the conversation before it: tokens of this entry are appended to the
    context. Otherwise they are the whole context."""

    def text(self) -> str:
        """The entry's text."""
        said = [{"content": one.content, "role": one.role} for one in self.messages]
        return canonical.compact({"continues": self.continues, "messages": said}).decode()

    @classmethod
    def read(cls, text: str) -> Prompt:
        """Raises:
        PromptFormatError: when the text is not what `text` writes.
        """
        try:
            fields = decode_json(text, _PromptFields)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise PromptFormatError("not the text of a prompt", got=str(error)) from error
        return cls(
            tuple(ChatMessage(one.role, one.content) for one in fields.messages), fields.continues
        )


def begins_context(entry: Entry) -> bool:
    """Whether the model saw nothing of what came before an entry: a prompt that does not continue.
    Where the text of a prompt is not that of `Prompt` (records that no node made), it continues."""
    if entry.kind is not Kind.PROMPT:
        return False
    try:
        return not Prompt.read(entry.text).continues
    except PromptFormatError:
        return False


class _MessageFields(Struct, frozen=True, forbid_unknown_fields=True):
    role: str
    content: str


class _PromptFields(Struct, frozen=True, forbid_unknown_fields=True):
    continues: bool
    messages: list[_MessageFields]
