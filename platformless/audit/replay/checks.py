"""Tokens against text: is a prompt's text what the model was given, does an answer's text say what
its tokens say."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from ...errors import PlatformlessError
from ...protocol.errors import PromptFormatError
from ...protocol.frames import LONGEST_STOP
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
    """One check for each completion entry, of its answer up to there: completions without a prompt
    in between are one answer, and what a token of one began, the next may show.

    The text never says more than the tokens up to there. It may say less, because a node holds
    back what may still become a stop string, and shows nothing from a stop string on. A node
    records tokens only with text that they let out, so the last token let out some of what was
    held: what is missing is what the last token says, and of the text before it at most
    `LONGEST_STOP` - 2 characters: the beginning of a stop string, without the one that came out.
    """
    checks = []
    answer = _AnswerText(vocabulary)
    before = Kind.NONE
    for number, entry in enumerate(entries):
        if entry.kind is Kind.COMPLETION:
            if before is not Kind.COMPLETION:
                answer = _AnswerText(vocabulary)
            following = entries[number + 1].kind if number + 1 < len(entries) else Kind.NONE
            checks.append(answer.check(number, entry, ends=following is not Kind.COMPLETION))
        before = entry.kind
    return tuple(checks)


class _AnswerText:
    """What an answer's tokens say, entry by entry."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._untold = ""
        """What tokens of earlier entries say and their texts did not show."""

    def check(self, number: int, entry: Entry, *, ends: bool) -> TextCheck:
        """Of the next entry; `ends`: it is the answer's last."""
        text, how = entry.text, "the tokens' bytes"
        said = [self._decoder.decode(self._vocabulary.piece(token)) for token in entry.tokens]
        rest = self._decoder.decode(b"", final=True) if ends else ""
        spelled = "".join((self._untold, *said, rest))
        before_last = len(self._untold) + sum(map(len, said[:-1])) if said else 0
        held = before_last - len(text) <= LONGEST_STOP - 2 and (bool(text) or not said)
        if spelled == text or (spelled.startswith(text) and held):
            self._untold = spelled[len(text) :]
            if not self._untold:
                return TextCheck(number, Agreement.SAME, how)
            return TextCheck(number, Agreement.SAME, f"{how}, up to a stop string")
        at = _first_difference(spelled, text)
        place = _token_of(at, self._untold, said)
        self._untold = ""
        return TextCheck(
            number,
            Agreement.DIFFERENT,
            how,
            place,
            repr(text[at : at + 40]),
            repr(spelled[at : at + 40]),
        )


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


def _first_difference(spelled: str, text: str) -> int:
    most = min(len(spelled), len(text))
    return next((n for n in range(most) if spelled[n] != text[n]), most)


def _token_of(at: int, untold: str, said: Sequence[str]) -> int | None:
    """Place of the token with the character; None when it is one of an earlier entry."""
    end = len(untold)
    if at < end:
        return None
    for place, piece in enumerate(said):
        end += len(piece)
        if end > at:
            return place
    return len(said)
