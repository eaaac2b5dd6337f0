"""Metering: a session's transcript as it is streamed, and where its checkpoints are cut.

Pure: what is stored and when is the ledger's business. Billed are completion tokens that were
streamed, counted by token. A checkpoint is cut only where the contract will take its claim; it is
never padded: what does not reach the minimum waits for the next one, or ends unclaimed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...protocol.delta import Delta, Message, delta_salt
from ...protocol.digests import ProofHash
from ...protocol.engine_record import EngineRecord
from ...protocol.header import SessionHeader
from ...protocol.transcript import Entry, Kind, State, Tokens
from ...protocol.window import Window
from ..errors import DepositUsedUp


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the marketplace asks of this session's claims, in tokens."""

    minimum_claim: Tokens
    proof_interval: Tokens
    """The first claim of a session must reach this."""
    affordable: Tokens
    """All that the deposit pays for."""
    due_at: int = 0
    """Unix seconds: from then on the session may be ended by anyone, as far as is known."""

    def smallest_next(self, claimed: Tokens) -> Tokens:
        """The smallest claim that the contract takes after so many claimed tokens."""
        if claimed == 0:
            return Tokens(max(self.minimum_claim, self.proof_interval))
        return self.minimum_claim


@dataclass(frozen=True, slots=True)
class Cut:
    """A checkpoint: what is proven, and the conversation that is published with it."""

    window: Window
    delta: Delta
    """Names no proof yet; the window carries its digest."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A session's transcript so far. Every change gives a new value."""

    header: SessionHeader
    rules: ClaimRules
    state: State
    before: State
    """State at the last cut."""
    checkpoint: int = 0
    """Number of the next checkpoint."""
    pending: tuple[Entry, ...] = ()
    """Entries since then."""
    messages: tuple[Message, ...] = ()
    engine: EngineRecord | None = None
    """How this node's engine is set."""
    pending_engine: EngineRecord | None = None
    """How it was set for all that is pending; None where another node may have been at it."""

    @classmethod
    def start(cls, header: SessionHeader, rules: ClaimRules) -> Meter:
        initial = State.initial(header)
        return cls(header, rules, initial, initial)

    def run_by(self, engine: EngineRecord | None, *, pending_too: bool = False) -> Meter:
        """The meter of a node whose engine is so set.

        Args:
            pending_too: Whether what is pending was given by an engine that was set the same.
        """
        known = pending_too or not self.pending
        return replace(self, engine=engine, pending_engine=engine if known else None)

    @property
    def claimed(self) -> Tokens:
        """Completion tokens in checkpoints that were cut."""
        return self.before.tokens

    @property
    def unclaimed(self) -> Tokens:
        """Completion tokens since the last cut."""
        return Tokens(self.state.tokens - self.claimed)

    @property
    def tokens_left(self) -> Tokens:
        """What the deposit still pays for."""
        return Tokens(max(0, self.rules.affordable - self.state.tokens))

    def add(self, entry: Entry, *new: Message) -> Meter:
        """The transcript with one more entry, and what it adds to the conversation. A message that
        goes on with a partial one of the assistant is joined to it.

        Raises:
            DepositUsedUp: when the deposit does not pay for the entry's tokens: a claim that passes
                it would be refused as a whole.
            TranscriptError: when the transcript has ended.
        """
        if entry.billed > self.tokens_left:
            raise DepositUsedUp(
                "the deposit does not pay for these tokens",
                expected=f"at most {self.tokens_left} tokens",
                got=entry.billed,
            )
        return self.resume(entry, *new)

    def resume(self, entry: Entry, *new: Message) -> Meter:
        """As `add`, for an entry that was counted before."""
        messages = self.messages
        for message in new:
            messages = _joined(messages, message)
        return replace(
            self,
            state=self.state.append(self.header, entry),
            pending=(*self.pending, entry),
            messages=messages,
        )

    def can_cut(self, more: int = 0) -> bool:
        """Whether the contract would take a claim of what is pending, and of so many tokens more
        that are no entry yet."""
        return self.unclaimed + more >= self.rules.smallest_next(self.claimed)

    def is_due(self, checkpoint_tokens: Tokens, more: int = 0) -> bool:
        """Whether a checkpoint should be cut in the middle of a session."""
        return self.unclaimed + more >= checkpoint_tokens and self.can_cut(more)

    def cut(self) -> tuple[Cut, Meter]:
        """The next checkpoint, and the meter after it.

        Raises:
            WindowError: when nothing is pending.
        """
        messages = self.messages
        window = Window(self.header, self.checkpoint, self.before, self.pending)
        delta = Delta(
            session_id=self.header.terms.session_id,
            checkpoint=self.checkpoint,
            proof_hash=ProofHash.zero(),
            tokens_before=window.before.tokens,
            tokens_after=window.after.tokens,
            salt=delta_salt(self.header.salt, self.checkpoint),
            messages=messages,
            engine=self.pending_engine,
        )
        after = replace(
            self,
            checkpoint=self.checkpoint + 1,
            before=self.state,
            pending=(),
            messages=(),
            pending_engine=self.engine,
        )
        return Cut(replace(window, delta_digest=delta.digest()), delta), after

    def end(self) -> Meter:
        """The transcript with its end, if it has none; nothing may follow."""
        return self if self.state.last_kind is Kind.END else self.add(Entry(Kind.END))


def _joined(messages: tuple[Message, ...], message: Message) -> tuple[Message, ...]:
    last = messages[-1] if messages else None
    if last is not None and last.partial and last.role == message.role == "assistant":
        joined = replace(last, content=last.content + message.content, partial=message.partial)
        return (*messages[:-1], joined)
    return (*messages, message)
