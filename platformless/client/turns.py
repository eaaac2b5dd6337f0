"""Entries as questions and answers, and whether they are what the client asked and received."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..protocol.errors import PromptFormatError
from ..protocol.flattened import read_prompt
from ..protocol.prompt import Prompt
from ..protocol.transcript import Entry, Kind, Tokens
from .errors import (
    EntriesBroken,
    EntriesUnknown,
    PromptChanged,
    TextChanged,
    TokensMiscounted,
)

_NO_TOKENS = Tokens(0)
_TOLD_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt that was sent, and what came back so far."""

    prompt: str
    max_tokens: int
    received: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt entry and the completion entries that follow it."""

    prompt: Entry
    text: str = ""
    tokens: Tokens = _NO_TOKENS

    def question(self) -> str | None:
        """The last message of the user; None when there is none that can be read."""
        try:
            messages = Prompt.read(self.prompt.text).messages
        except PromptFormatError:
            return None
        said = [message.content for message in messages if message.role == "user"]
        return said[-1] if said else None

    def asks(self, prompt: str) -> bool:
        """Whether this is what became of a prompt that was sent: its text, or the last message of
        a conversation that was flattened into it."""
        question = self.question()
        return question is not None and question in (prompt, read_prompt(prompt)[-1].content)

    def may_be(self, exchange: Exchange) -> bool:
        """Whether this may be what became of an exchange that broke off."""
        return (
            self.asks(exchange.prompt)
            and self.tokens <= exchange.max_tokens
            and (self.text.startswith(exchange.received) or exchange.received.startswith(self.text))
        )

    def check(self, exchange: Exchange, tokens_used: int) -> None:
        """Whether this is an exchange that ended.

        Raises:
            PromptChanged, TextChanged, TokensMiscounted
        """
        if not self.asks(exchange.prompt):
            raise PromptChanged(
                "the transcript has another prompt",
                expected=_told(exchange.prompt),
                got=_told(self.question() or self.prompt.text),
            )
        if self.text != exchange.received:
            raise TextChanged(
                "the transcript has another text than was received",
                expected=_told(exchange.received),
                got=_told(self.text),
            )
        if self.tokens != tokens_used:
            raise TokensMiscounted(
                "the transcript has another number of tokens than the answer",
                expected=tokens_used,
                got=self.tokens,
            )
        if self.tokens > exchange.max_tokens:
            raise TokensMiscounted(
                "more tokens than were asked for",
                expected=f"at most {exchange.max_tokens}",
                got=self.tokens,
            )


def turns_of(entries: Iterable[Entry]) -> list[Turn]:
    """Entries as turns; an end is none.

    Raises:
        EntriesBroken: for a completion without a prompt.
    """
    turns: list[Turn] = []
    for entry in entries:
        if entry.kind is Kind.PROMPT:
            turns.append(Turn(entry))
        elif entry.kind is Kind.COMPLETION:
            if not turns:
                raise EntriesBroken("a completion without a prompt", got=_told(entry.text))
            last = turns[-1]
            tokens = Tokens(last.tokens + entry.billed)
            turns[-1] = replace(last, text=last.text + entry.text, tokens=tokens)
    return turns


def check_turns(turns: list[Turn], exchanges: tuple[Exchange, ...], tokens_used: int) -> None:
    """Whether new turns are what became of the exchanges, of which the last has ended with
    `tokens_used` tokens and the others broke off.

    Raises:
        HostLied
    """
    *earlier, ended = exchanges
    earlier_turns = turns
    if _has_ended_turn(turns, ended, tokens_used, alone=not earlier):
        turns[-1].check(ended, tokens_used)
        earlier_turns = turns[:-1]
    elif tokens_used or ended.received:
        raise EntriesBroken(
            "the answer is missing in the transcript",
            expected=f"{tokens_used} tokens",
            got=f"{len(turns)} turns",
        )
    for turn in reversed(earlier_turns):
        while earlier and not turn.may_be(earlier[-1]):
            earlier.pop()
        if not earlier:
            raise EntriesUnknown(
                "entries that answer nothing the client asked",
                got=f"{_told(turn.question() or turn.prompt.text)}, {turn.tokens} tokens",
            )
        earlier.pop()


def _has_ended_turn(turns: list[Turn], ended: Exchange, tokens_used: int, *, alone: bool) -> bool:
    """Whether the last turn stands for the exchange that ended. One that ended before its first
    token (cancelled in the queue) may have left no entries."""
    if not turns:
        return False
    if tokens_used or ended.received or alone:
        return True
    return turns[-1].tokens == 0 and turns[-1].asks(ended.prompt)


def _told(text: str) -> str:
    return repr(text if len(text) <= _TOLD_CHARACTERS else text[:_TOLD_CHARACTERS] + "…")
