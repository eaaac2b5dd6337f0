"""Entries as questions and answers, and whether they are what the client asked and received."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..protocol.conversation import Conversation, ways_to_ask
from ..protocol.errors import PromptFormatError
from ..protocol.flattened import read_prompt
from ..protocol.prompt import Prompt
from ..protocol.spelling import most_tokens
from ..protocol.transcript import Entry, Kind, Sampler, Tokens
from .errors import (
    ContextChanged,
    EntriesBroken,
    EntriesUnknown,
    PromptChanged,
    SamplerChanged,
    TextChanged,
    TokensMiscounted,
)

_NO_TOKENS = Tokens(0)
_TOLD_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt that was sent, how it was to be answered, and what came back so far."""

    prompt: str
    max_tokens: int
    received: str = ""
    sampler: Sampler | None = None
    """How the tokens were to be drawn; None where that is not known any more (an older file)."""
    new_context: bool | None = None
    """Whether the model was not to see the conversation so far; None likewise."""

    def prompts(self, before: Sequence[Entry]) -> tuple[Prompt, ...]:
        """The prompts that an honest node may record for this one.

        Args:
            before: All entries that the transcript has until then.
        """
        contexts = []
        if not self.new_context:
            contexts.append(Conversation.of(before))
        if self.new_context is not False:
            contexts.append(Conversation())
        ways = (ways_to_ask(context, self.prompt) for context in contexts)
        return tuple(one for way in ways for one in (way.continued, way.anew) if one is not None)


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt entry and the completion entries that follow it."""

    prompt: Entry
    text: str = ""
    tokens: Tokens = _NO_TOKENS
    samplers: frozenset[Sampler] = frozenset()
    """By which its tokens were drawn: one, if the host is honest."""

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

    def keeps_context(self, exchange: Exchange, before: Sequence[Entry]) -> bool:
        """Whether the model was told what an honest node tells it for this exchange after these
        entries, no more and no less."""
        try:
            return Prompt.read(self.prompt.text) in exchange.prompts(before)
        except PromptFormatError:
            return False

    def is_drawn_by(self, sampler: Sampler | None) -> bool:
        """Whether all tokens were drawn in this way; any will do where None is known."""
        return sampler is None or self.samplers <= {sampler}

    def may_be(self, exchange: Exchange, before: Sequence[Entry]) -> bool:
        """Whether this may be what became of an exchange that broke off."""
        return (
            self.asks(exchange.prompt)
            and self.keeps_context(exchange, before)
            and self.is_drawn_by(exchange.sampler)
            and self.tokens <= min(exchange.max_tokens, most_tokens(self.text))
            and (self.text.startswith(exchange.received) or exchange.received.startswith(self.text))
        )

    def check(self, exchange: Exchange, before: Sequence[Entry], tokens_used: int) -> None:
        """Whether this is an exchange that ended.

        Args:
            before: All entries of the transcript before this turn.

        Raises:
            PromptChanged, ContextChanged, SamplerChanged, TextChanged, TokensMiscounted
        """
        if not self.asks(exchange.prompt):
            raise PromptChanged(
                "the transcript has another prompt",
                expected=_told(exchange.prompt),
                got=_told(self.question() or self.prompt.text),
            )
        if not self.keeps_context(exchange, before):
            raise ContextChanged(
                "the model was told more or less than the client asked and the conversation has",
                expected=_told(exchange.prompts(before)[0].text()),
                got=_told(self.prompt.text),
            )
        if not self.is_drawn_by(exchange.sampler):
            raise SamplerChanged(
                "tokens were drawn in another way than the client asked for",
                expected=exchange.sampler,
                got=", ".join(str(one) for one in self.samplers),
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
        if self.tokens > most_tokens(self.text):
            raise TokensMiscounted(
                "more tokens than a text of this length can have",
                expected=f"at most {most_tokens(self.text)}",
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
            drawn = {entry.sampler} if entry.tokens else set()
            turns[-1] = replace(
                last,
                text=last.text + entry.text,
                tokens=tokens,
                samplers=last.samplers | drawn,
            )
    return turns


def check_turns(
    before: Sequence[Entry],
    entries: Sequence[Entry],
    exchanges: tuple[Exchange, ...],
    tokens_used: int,
) -> None:
    """Whether new entries are what became of the exchanges, of which the last has ended with
    `tokens_used` tokens and the others broke off.

    Args:
        before: The entries that were verified before.

    Raises:
        HostLied
    """
    known = (*before, *entries)
    starts = [len(before) + at for at, one in enumerate(entries) if one.kind is Kind.PROMPT]
    turns = list(zip(turns_of(entries), starts, strict=True))
    *earlier, ended = exchanges
    heard = bool(tokens_used or ended.received)
    if turns and (heard or not earlier or _left_a_question(*turns[-1], ended, known)):
        turn, start = turns.pop()
        turn.check(ended, known[:start], tokens_used)
    elif heard:
        raise EntriesBroken(
            "the answer is missing in the transcript",
            expected=f"{tokens_used} tokens",
            got="no turns",
        )
    for turn, start in reversed(turns):
        while earlier and not turn.may_be(earlier[-1], known[:start]):
            earlier.pop()
        if not earlier:
            raise EntriesUnknown(
                "entries that answer nothing the client asked",
                got=f"{_told(turn.question() or turn.prompt.text)}, {turn.tokens} tokens",
            )
        earlier.pop()


def _left_a_question(turn: Turn, start: int, ended: Exchange, known: Sequence[Entry]) -> bool:
    """Whether the last turn stands for an exchange that ended before its first token (cancelled in
    the queue). Such a one may also have left no entries."""
    return turn.tokens == 0 and turn.may_be(ended, known[:start])


def _told(text: str) -> str:
    return repr(text if len(text) <= _TOLD_CHARACTERS else text[:_TOLD_CHARACTERS] + "…")
