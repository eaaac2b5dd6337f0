"""The recorder of one session: its transcript, in the ledger as it is streamed.

Tokens are streamed first and kept in small batches behind. At most `LOSS_TOKENS` tokens, or what
was streamed in the last `LOSS_SECONDS`, are not in the ledger yet: a crash loses no more, and what
it loses is not billed. A stream that would leave more unkept waits for the ledger.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ...protocol.acknowledgement import Acknowledged, AcknowledgementSignature
from ...protocol.digests import StateDigest
from ...protocol.errors import ProtocolError
from ...protocol.transcript import Entry, Kind, Sampler, State, Tokens
from ...protocol.update import TranscriptUpdate
from ...prover.ledger.ledger import Ledger
from ...prover.ledger.values import (
    Changes,
    KeptAcknowledgement,
    KeptCheckpoint,
    KeptEntry,
    KeptSession,
    SessionStart,
    StreamedTokens,
)
from ..errors import AcknowledgementRefused
from .conversation import Conversation, Turn
from .metering import ClaimRules, Meter
from .transcribing import answer_of, kept_checkpoint, messages_of, meter_of

log = logging.getLogger(__name__)

LOSS_TOKENS = 32
LOSS_SECONDS = 0.25
_BATCH_TOKENS = 12
_BATCH_SECONDS = 0.08


@dataclass(slots=True)
class _OpenAnswer:
    """An answer that is under way."""

    sampler: Sampler
    tokens: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    kept_tokens: int = 0
    kept_texts: int = 0
    unkept_since: float = 0.0

    @property
    def unkept(self) -> int:
        return len(self.tokens) - self.kept_tokens


class Recorder:
    """Made by `begin` or `resume`; one at a time for a session.

    Args:
        clock_ms: Unix time in milliseconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        start: SessionStart,
        meter: Meter,
        entries: list[Entry],
        checkpoint_tokens: Tokens,
        clock_ms: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._start = start
        self._meter = meter
        self._entries = entries
        self._checkpoint_tokens = checkpoint_tokens
        self._clock_ms = clock_ms
        self._session_id = start.header.terms.session_id
        self._answer: _OpenAnswer | None = None
        self._lock = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._states: dict[StateDigest, Tokens] = {}
        """Where completions ended: what a client may acknowledge."""
        self._started = bool(entries)

    @classmethod
    def begin(
        cls,
        ledger: Ledger,
        start: SessionStart,
        rules: ClaimRules,
        checkpoint_tokens: Tokens,
        clock_ms: Callable[[], int],
    ) -> Recorder:
        """Of a new session; nothing is written before the first prompt."""
        return cls(ledger, start, Meter.start(start.header, rules), [], checkpoint_tokens, clock_ms)

    @classmethod
    async def resume(
        cls,
        ledger: Ledger,
        kept: KeptSession,
        rules: ClaimRules,
        checkpoint_tokens: Tokens,
        clock_ms: Callable[[], int],
    ) -> Recorder:
        """Of a session that the ledger knows. What was streamed of an answer that never ended
        becomes an entry.

        Raises:
            ProtocolError, LedgerError: when what was kept cannot be used.
        """
        entries = [one.entry for one in kept.entries]
        meter = meter_of(kept, rules)
        recorder = cls(ledger, kept.start, meter, entries, checkpoint_tokens, clock_ms)
        state = State.initial(kept.start.header)
        for entry in entries:
            state = state.append(kept.start.header, entry)
            recorder._note(entry, state)
        left_over = answer_of(kept.streamed)
        if left_over is not None:
            async with recorder._lock:
                await recorder._append(left_over, drop_streamed=True)
        return recorder

    @property
    def meter(self) -> Meter:
        return self._meter

    @property
    def state(self) -> State:
        return self._meter.state

    @property
    def start(self) -> SessionStart:
        return self._start

    @property
    def entries(self) -> int:
        """How many entries the transcript has."""
        return len(self._entries)

    @property
    def ended(self) -> bool:
        return self.state.last_kind is Kind.END

    def conversation(self) -> Conversation:
        """What the model has seen and said."""
        return Conversation.of(self._entries)

    def update(self, first_entry: int) -> TranscriptUpdate:
        """What the client is told, from an entry on."""
        first = min(first_entry, len(self._entries))
        return TranscriptUpdate(
            header=self._start.header,
            host_part=self._start.host_part,
            client_part=self._start.client_part,
            first_entry=first,
            entries=tuple(self._entries[first:]),
            tokens=self.state.tokens,
            state=self.state.digest,
        )

    async def ask(self, turn: Turn, sampler: Sampler) -> None:
        """Keeps the prompt; its answer is under way from now on.

        Raises:
            LedgerError: when it cannot be kept; nothing has changed then.
        """
        entry = Entry(Kind.PROMPT, turn.tokens, turn.prompt.text())
        async with self._lock:
            await self._append(entry)
            self._answer = _OpenAnswer(sampler)

    def streamed(self, tokens: list[int], text: str) -> None:
        """Notes what the client was just sent."""
        answer = self._open_answer()
        if not answer.unkept:
            answer.unkept_since = time.monotonic()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_BATCH_SECONDS, self._keep_soon)
        answer.tokens += tokens
        answer.texts.append(text)

    async def keep_up(self) -> None:
        """Returns when more may be streamed; cuts a checkpoint when one is due.

        Raises:
            LedgerError: when what was streamed cannot be kept.
        """
        answer = self._open_answer()
        smallest = self._meter.rules.smallest_next(self._meter.claimed)
        if self._meter.unclaimed + len(answer.tokens) >= max(self._checkpoint_tokens, smallest):
            await self._cut_answer()
            return
        if self._keeping is not None and self._keeping.done():
            await self._keeping  # raises what it could not do
        if answer.unkept >= _BATCH_TOKENS:
            self._keep_soon()
        late = time.monotonic() - answer.unkept_since >= LOSS_SECONDS
        if answer.unkept and (answer.unkept >= LOSS_TOKENS or late):
            self._keep_soon()
            if self._keeping is not None:
                await self._keeping

    async def finish(self) -> None:
        """The answer is over: it becomes an entry; cuts a checkpoint when one is due.

        Raises:
            LedgerError: when it cannot be kept.
        """
        answer = self._open_answer()
        await self._settle_keeping()
        async with self._lock:
            if answer.tokens:
                await self._append(self._entry(answer), drop_streamed=True)
            self._answer = None
        if self._meter.is_due(self._checkpoint_tokens):
            await self.cut()

    async def cut(self) -> KeptCheckpoint | None:
        """Cuts a checkpoint between answers, where the contract takes its claim; None otherwise."""
        async with self._lock:
            if self._answer is not None or not self._meter.can_cut():
                return None
            cut, meter = self._meter.cut()
            checkpoint = kept_checkpoint(cut, self._clock_ms())
            await self._ledger.append(self._session_id, Changes(checkpoint=checkpoint))
            self._took(meter, checkpoint)
            return checkpoint

    async def end(self) -> int:
        """Ends the transcript and cuts the last checkpoint. Returns how many tokens remain
        unclaimed: too few for the contract."""
        async with self._lock:
            if self.ended or not self._started:
                return self._meter.unclaimed
            entry = Entry(Kind.END)
            meter = self._meter.add(entry)
            checkpoint = None
            if meter.can_cut():
                cut, meter = meter.cut()
                checkpoint = kept_checkpoint(cut, self._clock_ms())
            kept = KeptEntry(len(self._entries), entry, self._clock_ms())
            changes = Changes(entries=(kept,), checkpoint=checkpoint, ended=True)
            await self._ledger.append(self._session_id, changes)
            self._entries.append(entry)
            self._took(meter, checkpoint)
            if meter.unclaimed:
                log.info(
                    "session %d ends with %d tokens unclaimed: the contract takes no claim under "
                    "%d tokens",
                    self._session_id,
                    meter.unclaimed,
                    meter.rules.smallest_next(meter.claimed),
                )
            return meter.unclaimed

    async def acknowledge(
        self, tokens: int, state: StateDigest, signature: AcknowledgementSignature
    ) -> None:
        """Keeps the client's signature over a state of this session.

        Raises:
            AcknowledgementRefused: when it is no state of this session, or another's signature.
        """
        if self._states.get(state) != tokens:
            raise AcknowledgementRefused(
                "this session was never in this state",
                expected="a state at the end of an answer",
                got=f"{tokens} tokens, {state}",
            )
        terms = self._start.header.terms
        said = Acknowledged(
            terms.chain_id, terms.marketplace, terms.session_id, Tokens(tokens), state
        )
        try:
            signer = said.signer(signature)
        except ProtocolError as error:
            raise AcknowledgementRefused("no signature", got=error.message) from error
        if signer != terms.client:
            raise AcknowledgementRefused(
                "not signed by the session's client", expected=terms.client, got=signer
            )
        kept = KeptAcknowledgement(Tokens(tokens), state, signature)
        await self._ledger.append(self._session_id, Changes(acknowledgement=kept))

    def _open_answer(self) -> _OpenAnswer:
        if self._answer is None:
            raise AssertionError("no answer is under way")
        return self._answer

    def _entry(self, answer: _OpenAnswer) -> Entry:
        text = "".join(answer.texts)
        return Entry(Kind.COMPLETION, tuple(answer.tokens), text, answer.sampler)

    async def _cut_answer(self) -> None:
        """A checkpoint in the middle of an answer, if the contract takes its claim; the rest of the
        answer is an entry of its own."""
        answer = self._open_answer()
        await self._settle_keeping()
        async with self._lock:
            kept = self._kept(self._entry(answer), partial=True)
            meter = self._meter.add(kept.entry, *messages_of(kept))
            if not meter.can_cut():
                return
            ended = meter.state
            cut, meter = meter.cut()
            checkpoint = kept_checkpoint(cut, self._clock_ms())
            changes = Changes(entries=(kept,), drop_streamed=True, checkpoint=checkpoint)
            await self._ledger.append(self._session_id, changes)
            self._entries.append(kept.entry)
            self._note(kept.entry, ended)
            self._took(meter, checkpoint)
            self._answer = _OpenAnswer(answer.sampler)

    async def _append(self, entry: Entry, *, drop_streamed: bool = False) -> None:
        """Keeps an entry; the caller holds the lock."""
        kept = self._kept(entry)
        meter = self._meter.add(entry, *messages_of(kept))
        start = None if self._started else self._start
        changes = Changes(start=start, entries=(kept,), drop_streamed=drop_streamed)
        await self._ledger.append(self._session_id, changes)
        self._started = True
        self._entries.append(entry)
        self._meter = meter
        self._note(entry, meter.state)

    def _kept(self, entry: Entry, *, partial: bool = False) -> KeptEntry:
        return KeptEntry(len(self._entries), entry, self._clock_ms(), partial)

    def _note(self, entry: Entry, state: State) -> None:
        if entry.kind is Kind.COMPLETION:
            self._states[state.digest] = state.tokens

    def _took(self, meter: Meter, checkpoint: KeptCheckpoint | None) -> None:
        self._meter = meter
        if checkpoint is not None:
            log.info(
                "session %d: checkpoint %d claims tokens %d to %d",
                self._session_id,
                checkpoint.number,
                checkpoint.tokens_before,
                checkpoint.tokens_after,
            )

    def _keep_soon(self) -> None:
        """Starts keeping what was streamed, unless that is under way."""
        answer = self._answer
        if self._keeping is not None and not self._keeping.done():
            return
        if answer is not None and answer.unkept:
            self._keeping = asyncio.get_running_loop().create_task(self._keep(answer))

    async def _keep(self, answer: _OpenAnswer) -> None:
        async with self._lock:
            count, texts, began = len(answer.tokens), len(answer.texts), time.monotonic()
            if self._answer is not answer or count == answer.kept_tokens:
                return
            part = StreamedTokens(
                number=len(self._entries),
                first=answer.kept_tokens,
                tokens=tuple(answer.tokens[answer.kept_tokens :]),
                text="".join(answer.texts[answer.kept_texts :]),
                sampler=answer.sampler,
                at_ms=self._clock_ms(),
            )
            await self._ledger.append(self._session_id, Changes(streamed=part))
            answer.kept_tokens, answer.kept_texts = count, texts
            answer.unkept_since = began
        if answer.unkept and self._answer is answer:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_BATCH_SECONDS, self._keep_soon)

    async def _settle_keeping(self) -> None:
        """Waits until nothing is being kept, whatever comes of it: what follows keeps it all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._keeping is not None:
            await asyncio.wait({self._keeping})
            if not self._keeping.cancelled() and self._keeping.exception() is not None:
                log.warning("tokens were not kept at first: %s", self._keeping.exception())
            self._keeping = None
