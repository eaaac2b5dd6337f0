"""The recorder of one session: its transcript, in the ledger as it is streamed.

What was streamed of an answer is kept right behind the stream (`keeping`); at its end it becomes
an entry. The meter here is what the ledger has: it changes after the ledger did.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import accumulate

from ...protocol.acknowledgement import Acknowledged, AcknowledgementSignature
from ...protocol.digests import StateDigest
from ...protocol.engine_record import EngineRecord
from ...protocol.errors import ProtocolError
from ...protocol.transcript import Entry, Kind, Sampler, State, Tokens
from ...protocol.update import TranscriptUpdate
from ...prover.ledger.job_values import checkpoint_job, settlement_job
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
from .keeping import OpenAnswer
from .memory import entry_bytes, told_bytes
from .metering import ClaimRules, Meter
from .transcribing import answer_of, kept_checkpoint, messages_of, meter_of

log = logging.getLogger(__name__)
OnJob = Callable[[str], None]
"""Takes the id of a job; does not block."""


def _nobody(_job_id: str) -> None:
    """Is told of jobs where nobody works on them."""


def _never() -> bool:
    """No proof will be too late."""
    return False


class Recorder:
    """Made by `begin` or `resume`; one at a time for a session.

    Args:
        clock_ms: Unix time in milliseconds.
        on_job: Told of each job that the ledger has got: a checkpoint's, or the settlement's.
    """

    def __init__(
        self,
        ledger: Ledger,
        start: SessionStart,
        meter: Meter,
        entries: list[Entry],
        checkpoint_tokens: Tokens,
        clock_ms: Callable[[], int],
        on_job: OnJob = _nobody,
    ) -> None:
        self._ledger = ledger
        self._start = start
        self._meter = meter
        self._entries = entries
        self._memory_bytes = sum(map(entry_bytes, entries))
        self._told_bytes = [0, *accumulate(map(told_bytes, entries))]
        """What the first entries take in an update, by their number."""
        self._checkpoint_tokens = checkpoint_tokens
        self._clock_ms = clock_ms
        self._on_job = on_job
        self._session_id = start.header.terms.session_id
        self._answer: OpenAnswer | None = None
        self._proof_is_due = _never
        self._lock = asyncio.Lock()
        self._cutting = asyncio.Lock()
        """Held where the open answer may change hands: its stream is not the only one to cut it."""
        self._meanwhile: list[tuple[list[int], str]] = []
        """Streamed while another cut the answer."""
        self.cut_at_ms = 0
        """When the last checkpoint was cut; 0 before the first."""
        self._states: dict[StateDigest, Tokens] = {}
        """Where completions ended, and what the end of the session there would be: what a client
        may acknowledge. The last checkpoint's claim ends with that end."""
        self._started = bool(entries)
        self._own_from = 0
        """From this entry on all were given by an engine that is set like this one."""

    @classmethod
    def begin(
        cls,
        ledger: Ledger,
        start: SessionStart,
        rules: ClaimRules,
        checkpoint_tokens: Tokens,
        clock_ms: Callable[[], int],
        on_job: OnJob = _nobody,
        engine: EngineRecord | None = None,
    ) -> Recorder:
        """Of a new session; nothing is written before the first prompt."""
        meter = Meter.start(start.header, rules).run_by(engine)
        return cls(ledger, start, meter, [], checkpoint_tokens, clock_ms, on_job)

    @classmethod
    async def resume(
        cls,
        ledger: Ledger,
        kept: KeptSession,
        rules: ClaimRules,
        checkpoint_tokens: Tokens,
        clock_ms: Callable[[], int],
        on_job: OnJob = _nobody,
        engine: EngineRecord | None = None,
    ) -> Recorder:
        """Of a session that the ledger knows. What was streamed of an answer that never ended
        becomes an entry; which engine gave it is not known.

        Raises:
            ProtocolError, LedgerError: when what was kept cannot be used.
        """
        entries = [one.entry for one in kept.entries]
        meter = meter_of(kept, rules)
        recorder = cls(ledger, kept.start, meter, entries, checkpoint_tokens, clock_ms, on_job)
        if kept.checkpoints:
            recorder.cut_at_ms = kept.checkpoints[-1].at_ms
        state = State.initial(kept.start.header)
        for entry in entries:
            state = state.append(kept.start.header, entry)
            recorder._note(entry, state)
        left_over = answer_of(kept.streamed)
        if left_over is not None:
            async with recorder._lock:
                await recorder._append(left_over, drop_streamed=True)
        given_by = [one.engine for one in kept.entries] + [None] * bool(kept.streamed)
        foreign = [number for number, one in enumerate(given_by) if one != engine]
        own_from = foreign[-1] + 1 if foreign else 0
        cut = recorder._meter.before.entries
        recorder._meter = recorder._meter.run_by(engine, pending_too=own_from <= cut)
        recorder._own_from = own_from
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
    def memory_bytes(self) -> int:
        """What the transcript takes in memory (`memory`)."""
        return self._memory_bytes

    @property
    def ended(self) -> bool:
        return self.state.last_kind is Kind.END

    def conversation(self) -> Conversation:
        """What the model has seen and said."""
        return Conversation.of(self._entries)

    def update_bytes(self, first_entry: int) -> int:
        """What an update from an entry on takes, about."""
        return self._told_bytes[-1] - self._told_bytes[min(first_entry, len(self._entries))]

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
            engine=self._meter.engine if first >= self._own_from else None,
        )

    async def ask(
        self, turn: Turn, sampler: Sampler, proof_is_due: Callable[[], bool] = _never
    ) -> None:
        """Keeps the prompt; its answer is under way from now on.

        Args:
            proof_is_due: Whether what the contract takes should be claimed now, however little it
                is: or the claim may come too late.

        Raises:
            LedgerError: when it cannot be kept; nothing has changed then.
        """
        entry = Entry(Kind.PROMPT, turn.tokens, turn.prompt.text())
        async with self._lock:
            await self._append(entry)
            self._answer = self._opened(sampler)
            self._proof_is_due = proof_is_due

    def streamed(self, tokens: list[int], text: str) -> None:
        """Notes what the client was just sent."""
        if self._cutting.locked():
            self._meanwhile.append((tokens, text))
        else:
            self._open_answer().streamed(tokens, text)

    async def keep_up(self, coming: int = 1) -> None:
        """Returns when so many more tokens may be streamed at once; cuts a checkpoint when one is
        due. Not before a last text without tokens: it belongs to those before it.

        Raises:
            LedgerError: when what was streamed cannot be kept.
        """
        async with self._cutting:
            answer = self._open_answer()
            if coming and self._is_due(len(answer.tokens)):
                await self._cut_answer()
            else:
                await answer.keep_up(coming)

    async def finish(self) -> None:
        """The answer is over: it becomes an entry; cuts a checkpoint when one is due.

        Raises:
            LedgerError: when it cannot be kept.
        """
        async with self._cutting:
            answer = self._open_answer()
            await answer.settle()
            async with self._lock:
                if answer.tokens:
                    await self._append(answer.entry(), drop_streamed=True)
                self._answer = None
        if self._is_due(0):
            await self.cut()

    async def cut(self) -> KeptCheckpoint | None:
        """Cuts a checkpoint between answers, where the contract takes its claim; None otherwise."""
        async with self._lock:
            return None if self._answer is not None else await self._cut_pending()

    async def cut_within(self) -> None:
        """Cuts a checkpoint, in the middle of an answer if there is one: its client may read
        nothing, so that its stream does not come to it.

        Raises:
            LedgerError: when it cannot be kept. The answer's stream hears of it as well, if the
                ledger has changed nonetheless.
        """
        async with self._cutting:
            try:
                if self._answer is not None:
                    await self._cut_answer()
            finally:
                meanwhile, self._meanwhile = self._meanwhile, []
                for tokens, text in meanwhile:
                    self._open_answer().streamed(tokens, text)
        await self.cut()

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
            kept = self._kept(entry)
            changes = Changes(
                entries=(kept,), checkpoint=checkpoint, ended=True, due_at=meter.rules.due_at
            )
            await self._ledger.append(self._session_id, changes)
            self._hold(entry)
            self._took(meter, checkpoint)
            self._on_job(settlement_job(self._session_id))
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

    def _is_due(self, streamed: int) -> bool:
        """Whether a checkpoint should be cut now.

        Args:
            streamed: Tokens of the open answer.
        """
        if self._meter.is_due(self._checkpoint_tokens, streamed):
            return True
        return self._meter.can_cut(streamed) and self._proof_is_due()

    def _open_answer(self) -> OpenAnswer:
        if self._answer is None:
            raise AssertionError("no answer is under way")
        return self._answer

    def _opened(self, sampler: Sampler) -> OpenAnswer:
        async def keep(streamed: StreamedTokens) -> None:
            await self._ledger.append(self._session_id, Changes(streamed=streamed))

        return OpenAnswer(sampler, len(self._entries), keep, self._clock_ms)

    async def _cut_answer(self) -> None:
        """A checkpoint in the middle of an answer, if the contract takes its claim; the rest of the
        answer is an entry of its own. Where nothing was streamed of it yet, what is pending."""
        answer = self._open_answer()
        if not self._meter.can_cut(len(answer.tokens)):
            return
        await answer.settle()
        async with self._lock:
            if not answer.tokens:
                await self._cut_pending()
                return
            kept = self._kept(answer.entry(), partial=True)
            meter = self._meter.add(kept.entry, *messages_of(kept))
            ended = meter.state
            cut, meter = meter.cut()
            checkpoint = kept_checkpoint(cut, self._clock_ms())
            changes = Changes(
                entries=(kept,),
                drop_streamed=True,
                checkpoint=checkpoint,
                due_at=meter.rules.due_at,
            )
            await self._ledger.append(self._session_id, changes)
            self._hold(kept.entry)
            self._note(kept.entry, ended)
            self._took(meter, checkpoint)
            self._answer = self._opened(answer.sampler)

    async def _cut_pending(self) -> KeptCheckpoint | None:
        """The caller holds the lock."""
        if not self._meter.can_cut():
            return None
        cut, meter = self._meter.cut()
        checkpoint = kept_checkpoint(cut, self._clock_ms())
        changes = Changes(checkpoint=checkpoint, due_at=self._meter.rules.due_at)
        await self._ledger.append(self._session_id, changes)
        self._took(meter, checkpoint)
        return checkpoint

    async def _append(self, entry: Entry, *, drop_streamed: bool = False) -> None:
        """Keeps an entry; the caller holds the lock."""
        kept = self._kept(entry)
        meter = self._meter.add(entry, *messages_of(kept))
        start = None if self._started else self._start
        changes = Changes(start=start, entries=(kept,), drop_streamed=drop_streamed)
        await self._ledger.append(self._session_id, changes)
        self._started = True
        self._hold(entry)
        self._meter = meter
        self._note(entry, meter.state)

    def _hold(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._memory_bytes += entry_bytes(entry)
        self._told_bytes.append(self._told_bytes[-1] + told_bytes(entry))

    def _kept(self, entry: Entry, *, partial: bool = False) -> KeptEntry:
        return KeptEntry(len(self._entries), entry, self._clock_ms(), partial, self._meter.engine)

    def _note(self, entry: Entry, state: State) -> None:
        if entry.kind is Kind.COMPLETION:
            ended = state.append(self._start.header, Entry(Kind.END))
            self._states |= {state.digest: state.tokens, ended.digest: state.tokens}

    def _took(self, meter: Meter, checkpoint: KeptCheckpoint | None) -> None:
        self._meter = meter
        if checkpoint is not None:
            self.cut_at_ms = checkpoint.at_ms
            log.info(
                "session %d: checkpoint %d claims tokens %d to %d",
                self._session_id,
                checkpoint.number,
                checkpoint.tokens_before,
                checkpoint.tokens_after,
                extra={
                    "session": self._session_id,
                    "job": checkpoint_job(self._session_id, checkpoint.number),
                    "tokens": checkpoint.tokens_after - checkpoint.tokens_before,
                },
            )
            self._on_job(checkpoint_job(self._session_id, checkpoint.number))
