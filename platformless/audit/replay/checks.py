"""Tokens against text: is a prompt's text what the model was given, does an answer's text say what
its tokens say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from ...errors import PlatformlessError
from ...protocol.errors import PromptFormatError
from ...protocol.prompt import ChatMessage, Prompt
from ...protocol.transcript import Entry, Kind


class Vocabulary(Protocol):
    """`engine.model.Vocabulary`, without loading llama.cpp."""

    def tokenize(self, text: str, *, special: bool = False) -> tuple[int, ...]: ...

    def piece(self, token: int, *, special: bool = False) -> bytes: ...


class Chat(Protocol):
    """`engine.chat.ChatFormat`, likewise."""

    def opening(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]: ...

    def continuation(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]: ...


class Agreement(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class TextCheck:
    """Of a prompt's or an answer's text."""

    entry: int
    agreement: Agreement
    how: str
    """By what it was checked, or why it was not."""
    token: int | None = None
    """Place of the first token that differs, where that can be told."""
    expected: str | None = None
    got: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "entry": self.entry,
            "agreement": self.agreement.value,
            "how": self.how,
            "token": self.token,
            "expected": self.expected,
            "got": self.got,
        }


def check_prompts(
    entries: Sequence[Entry], chat: Chat | None, vocabulary: Vocabulary
) -> tuple[TextCheck, ...]:
    """One check for each prompt entry. `chat` is None when the model has no chat template."""
    checks: list[TextCheck] = []
    messages: list[ChatMessage] = []
    readable = True  # whether `messages` is all that the context was told
    before = Kind.NONE
    for number, entry in enumerate(entries):
        if entry.kind is Kind.PROMPT:
            try:
                prompt = Prompt.read(entry.text)
            except PromptFormatError:
                readable = False
                checks.append(_as_plain_text(number, entry, vocabulary))
            else:
                if not prompt.continues:
                    messages, readable = [], True
                messages += prompt.messages
                if readable:
                    checks.append(_as_chat(number, entry, prompt, messages, chat))
                else:
                    checks.append(_unchecked(number, "it continues what cannot be read"))
        elif entry.kind is Kind.COMPLETION:
            goes_on = before is Kind.COMPLETION and messages
            said = messages.pop().content if goes_on else ""
            messages.append(ChatMessage("assistant", said + entry.text))
        before = entry.kind
    return tuple(checks)


def check_answers(entries: Sequence[Entry], vocabulary: Vocabulary) -> tuple[TextCheck, ...]:
    """One check for each completion entry. The last token may say more than the text: what stands
    behind the beginning of a stop string is not shown."""
    checks = []
    for number, entry in enumerate(entries):
        if entry.kind is not Kind.COMPLETION:
            continue
        pieces = [vocabulary.piece(token) for token in entry.tokens]
        spelled = b"".join(pieces).decode("utf-8", "replace")
        sure = len(b"".join(pieces[:-1]).decode("utf-8", "ignore"))
        how = "the tokens' bytes"
        if spelled == entry.text:
            checks.append(TextCheck(number, Agreement.SAME, how))
        elif spelled.startswith(entry.text) and len(entry.text) >= sure and entry.text:
            checks.append(TextCheck(number, Agreement.SAME, f"{how}, up to a stop string"))
        else:
            at, place = _first_difference(pieces, spelled, entry.text)
            checks.append(
                TextCheck(
                    number,
                    Agreement.DIFFERENT,
                    how,
                    place,
                    repr(entry.text[at : at + 40]),
                    repr(spelled[at : at + 40]),
                )
            )
    return tuple(checks)


def _as_chat(
    number: int, entry: Entry, prompt: Prompt, messages: Sequence[ChatMessage], chat: Chat | None
) -> TextCheck:
    if chat is None:
        return _unchecked(number, "the model file has no chat template")
    how = "the model's chat template"
    try:
        made = chat.continuation(messages) if prompt.continues else chat.opening(messages)
    except PlatformlessError as error:
        return TextCheck(
            number, Agreement.DIFFERENT, how, None, "messages that the template takes", str(error)
        )
    return _compared(number, entry.tokens, made, how)


def _as_plain_text(number: int, entry: Entry, vocabulary: Vocabulary) -> TextCheck:
    """A text that is not the node's: all of it, markers included, as the tokenizer reads it."""
    how = "the tokenizer: the text is not in the node's format"
    return _compared(number, entry.tokens, vocabulary.tokenize(entry.text, special=True), how)


def _compared(number: int, tokens: tuple[int, ...], made: tuple[int, ...], how: str) -> TextCheck:
    if tokens == made:
        return TextCheck(number, Agreement.SAME, how)
    most = min(len(tokens), len(made))
    place = next((at for at in range(most) if tokens[at] != made[at]), most)
    return TextCheck(
        number,
        Agreement.DIFFERENT,
        how,
        place,
        _tokens_at(made, place),
        _tokens_at(tokens, place),
    )


def _tokens_at(tokens: tuple[int, ...], place: int) -> str:
    shown = " ".join(str(token) for token in tokens[place : place + 8]) or "no more"
    return f"{len(tokens)} tokens, from {place} on: {shown}"


def _unchecked(number: int, why: str) -> TextCheck:
    return TextCheck(number, Agreement.NOT_CHECKED, why)


def _first_difference(pieces: Sequence[bytes], spelled: str, text: str) -> tuple[int, int]:
    """The character, and the token that has it."""
    most = min(len(spelled), len(text))
    at = next((n for n in range(most) if spelled[n] != text[n]), most)
    bytes_before = len(spelled[:at].encode())
    end = 0
    for place, piece in enumerate(pieces):
        end += len(piece)
        if end > bytes_before:
            return at, place
    return at, len(pieces)
