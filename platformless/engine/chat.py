"""Chats as tokens: the model's own chat template, applied so that conversations only grow.

The template (Jinja, from the GGUF) is rendered with a place holder for each message's content;
what stands between the place holders is tokenized with its markers, the contents without: a
client that writes a marker into its message gets its letters, not its effect. Content is neither
trimmed nor changed.

A conversation's tokens are the opening, an answer as it was generated, a continuation, the next
answer, and so on. This extends what the model has seen and never rewrites it. Whether that is
also what the template makes of all messages at once is checked for each continuation, up to the
new message; a template that rewrites what was said (drops reasoning, states the time) is refused
with `HistoryRewritten`. SmolLM2's template never does. What can still differ from tokenizing the
whole text at once: an answer that the model spelled with other tokens than the tokenizer would,
and pairs of tokens that would merge across the edge of a content that begins or ends with spaces.
Bytes that the vocabulary has no token for (control characters, with SmolLM2) do not reach a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from ..protocol.prompt import ChatMessage
from .errors import HistoryRewritten, NoChatTemplate, TemplateRefused
from .model import Vocabulary

# Private-use characters: no template has any use for them.
_OPENS, _CLOSES = "\ue000", "\ue001"
_HOLDER = re.compile(f"{_OPENS}([0-9]{{1,9}}){_CLOSES}")


class ChatFormat:
    """The chat template of one model."""

    def __init__(self, vocabulary: Vocabulary, template: str | None) -> None:
        if not template:
            raise NoChatTemplate("the model file carries no chat template")
        self._vocabulary = vocabulary
        markers = [
            vocabulary.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""
            for token in (vocabulary.bos, vocabulary.eos)
        ]
        self._bos, eos = markers
        try:
            self._render = Jinja2ChatFormatter(template, eos_token=eos, bos_token=self._bos)
        except Exception as error:
            raise NoChatTemplate("the chat template is no valid Jinja", got=error) from error

    def opening(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]:
        """All tokens before the first answer.

        Raises:
            TemplateRefused: when the template takes no such messages.
        """
        rendered = self._rendered(messages)
        tokens = self._tokens(rendered, messages)
        starts_with_bos = bool(self._bos) and rendered.startswith(self._bos)
        if self._vocabulary.adds_bos and not starts_with_bos:
            return (self._vocabulary.bos, *tokens)
        return tokens

    def continuation(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]:
        """The tokens that follow the last answer: `messages` is the whole conversation, with the
        last answer in it and the new messages behind it.

        Raises:
            TemplateRefused: when the template takes no such messages.
            HistoryRewritten: when the template does not leave the past as it was.
        """
        answers = [at for at, message in enumerate(messages) if message.role == "assistant"]
        if not answers or answers[-1] + 1 == len(messages):
            raise TemplateRefused(
                "nothing to continue", expected="messages after an answer", got=len(messages)
            )
        last = answers[-1]
        past = self._rendered(messages[:last]) + _holder(last)
        rendered = self._rendered(messages)
        if not rendered.startswith(past):
            raise HistoryRewritten("the chat template changes what was said before")
        told = {int(number) for number in _HOLDER.findall(past)}
        return self._tokens(rendered[len(past) :], messages, told)

    def _rendered(self, messages: Sequence[ChatMessage]) -> str:
        """The template's text with place holders, up to where the model answers. Roles are in it
        as they are."""
        for message in messages:
            if _OPENS in message.role or _CLOSES in message.role:
                raise TemplateRefused(
                    "a role with the characters of place holders",
                    expected="the name of a role",
                    got=repr(message.role),
                )
        fields: list[Any] = [
            {"role": message.role, "content": _holder(at)} for at, message in enumerate(messages)
        ]
        try:
            return str(self._render(messages=fields).prompt)
        except Exception as error:
            raise TemplateRefused("the chat template rejects these messages", got=error) from error

    def _tokens(
        self, rendered: str, messages: Sequence[ChatMessage], told: Iterable[int] = ()
    ) -> tuple[int, ...]:
        """`told`: the messages that the model has seen before."""
        tokens: list[int] = []
        left = set(range(len(messages))).difference(told)
        # Splitting at a pattern with one group alternates text and group.
        for at, part in enumerate(_HOLDER.split(rendered)):
            if at % 2 == 0:
                tokens += self._vocabulary.tokenize(part, special=True)
            else:
                if int(part) not in left:
                    raise TemplateRefused(
                        "the chat template does not tell each message once",
                        expected="place holders of messages",
                        got=part,
                    )
                left.remove(int(part))
                tokens += self._vocabulary.tokenize(messages[int(part)].content)
        return tuple(tokens)


def _holder(at: int) -> str:
    return f"{_OPENS}{at}{_CLOSES}"
