"""A live session: one that a client uses now. Its answers, and what is known of it.

At most one answer at a time; its tokens go to the client, then to the recorder. Everything that a
client may ask of a session comes here after `Sessions` has found out that it may.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ...engine.chat import ChatFormat
from ...engine.engine import Engine
from ...engine.errors import TokenLimitExceeded
from ...engine.generation import Generation
from ...engine.request import Finished, FinishReason, GeneratedToken, GenerationRequest
from ...protocol.acknowledgement import AcknowledgementSignature
from ...protocol.digests import Salt, StateDigest, WeightsRoot
from ...protocol.frames import PromptRequest
from ...protocol.header import SessionHeader
from ...protocol.replies import Reply
from ...protocol.seed import SeedCommitment, SeedPart, seed_commitment, session_seed
from ...protocol.transcript import State, Tokens
from ...prover.ledger.ledger import Ledger
from ...prover.ledger.values import Binding, KeptCheckpoint, SessionStart
from ..errors import (
    AnswerUnderWay,
    DepositUsedUp,
    ForeignClient,
    OutOfOrder,
    RequestRefused,
    SessionHasEnded,
    SessionKeyMissing,
    ShuttingDown,
)
from ..monitoring.counted import Counted
from .answering import DEFAULT_MAX_TOKENS, AnswerEnd, AnswerOutput, client_part, sampler_of
from .authority import AdmittedSession, require_model_named
from .conversation import Conversation, Turn, next_turn
from .recorder import Recorder
from .rules import SessionRules

_MOST_CHARACTERS_A_TOKEN = 64
_USUAL_CHARACTERS_A_TOKEN = 4
_MOST_TOLD_BYTES = 4 << 20
"""Of the entries that a client wants to be told with those of its prompt: a frame of them, sealed
and in hex, is half as large as the largest that the project's client takes."""
_LONG_PROMPT = 20_000
"""Characters from which on a prompt is tokenized in a thread."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the sessions of a node have in common."""

    engine: Engine
    chat: ChatFormat
    ledger: Ledger
    checkpoint_tokens: Tokens
    weights_root: WeightsRoot
    clock_ms: Callable[[], int]
    """Unix time in milliseconds."""
    on_job: Callable[[str], None]
    """Told of each job that the ledger has got."""
    counted: Counted = field(default_factory=Counted)


class LiveSession:
    """Belongs to one event loop."""

    def __init__(
        self,
        serving: Serving,
        session_id: int,
        admitted: AdmittedSession,
        binding: Binding | None,
        recorder: Recorder | None,
        rules: SessionRules | None = None,
    ) -> None:
        self.id = session_id
        self.admitted = admitted
        self.admitted_at = time.monotonic()
        """When the chain last let it be served; seconds of the monotonic clock."""
        self.asked_at = self.admitted_at
        """When the chain was last asked in the middle of an answer, whatever it said."""
        self.binding = binding
        self.binding_lock = asyncio.Lock()
        """Held while a client is let in."""
        self.recorder = recorder
        """None before the first prompt."""
        self.stale = False
        """Whether a change failed that the ledger may have made: what is known here may be wrong,
        and the session must be read anew."""
        self.listeners: set[Callable[[Reply], None]] = set()
        """Who is told of proofs and checkpoints: the session's connections."""
        self.left_at = time.monotonic()
        """When the last of them left."""
        self._serving = serving
        self._rules = rules or SessionRules()
        self._host_part = SeedPart(secrets.token_bytes(SeedPart.LENGTH))
        self._busy = False
        self._generation: Generation | None = None
        self._cancelled = False
        self._stopping = False

    @property
    def is_answering(self) -> bool:
        return self._busy

    @property
    def seconds_until_due(self) -> float:
        """Until what the contract takes should be claimed, however little it is, so that its proof
        is not late. A claim that was cut has half of that time to come on chain, before the next
        one is cut for this reason."""
        session, now = self.admitted.session, self._serving.clock_ms() / 1000
        margin = self._rules.proof_margin(session.proof_timeout_seconds)
        cut_at = 0 if self.recorder is None else self.recorder.cut_at_ms / 1000
        return max(session.times_out_at - margin, cut_at + margin / 2) - now

    def proof_is_due(self) -> bool:
        return self.seconds_until_due <= 0

    def require_holder(self, holder: str) -> None:
        """Raises:
        ForeignClient: when the session is another's by now.
        SessionKeyMissing: when it must be begun anew.
        """
        if self.binding is None or self.binding.holder != holder:
            raise ForeignClient(
                "the session belongs to another client", expected="its holder", got="an earlier one"
            )
        if self.stale:
            raise SessionKeyMissing("the session was read anew", expected="an init")

    @property
    def commitment(self) -> SeedCommitment:
        """What the host shows of its part of the seed."""
        part = self._host_part if self.recorder is None else self.recorder.start.host_part
        return seed_commitment(part)

    @property
    def state(self) -> State | None:
        """None before the first prompt."""
        return None if self.recorder is None else self.recorder.state

    @property
    def tokens_left(self) -> Tokens:
        """What the deposit still pays for."""
        if self.recorder is None:
            return self.admitted.claim_rules().affordable
        return self.recorder.meter.tokens_left

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Held for a prompt: one at a time. From here on a cancel is meant for it.

        Raises:
            AnswerUnderWay: while there is another.
        """
        if self._busy:
            raise AnswerUnderWay(f"session {self.id} is still being answered")
        self._busy, self._cancelled = True, False
        try:
            yield
        finally:
            self._generation = None
            self._busy = False

    async def answer(self, request: PromptRequest, output: AnswerOutput) -> AnswerEnd:
        """Answers a prompt, for which the session was taken.

        Raises:
            SessionHasEnded, DepositUsedUp, RequestRefused, ModelNotServed, ShuttingDown
            RequestError: what the engine has against the request (`TokenLimitExceeded`).
            EngineStopped, LedgerError: when it cannot go on; what was streamed and kept counts.
            ClientGone: when the output says so; what was sent before counts.
        """
        if self._stopping:
            raise ShuttingDown("the node is about to stop")
        if not request.prompt:
            raise RequestRefused("the prompt is empty", expected="a text")
        if request.model:
            require_model_named(request.model, self.admitted.model_id)
        return await self._answer(request, output)

    def cancel(self) -> bool:
        """Stops the answer under way within a token. Whether there was one."""
        self._cancelled = True
        if self._generation is not None:
            self._generation.cancel()
        return self._busy

    def stop(self) -> None:
        """No more prompts; what is being answered goes on."""
        self._stopping = True

    async def cut_within(self) -> None:
        """As `cut`, also in the middle of an answer."""
        if self.recorder is not None:
            await self.recorder.cut_within()

    async def cut(self) -> KeptCheckpoint | None:
        """Cuts a checkpoint, if there is something that the contract takes a claim of."""
        return None if self.recorder is None else await self.recorder.cut()

    async def end(self) -> tuple[Tokens, int]:
        """The client is done. Returns the session's tokens, and those that stay unclaimed.

        Raises:
            AnswerUnderWay: while there is an answer.
        """
        if self._busy:
            raise AnswerUnderWay(f"session {self.id} is still being answered")
        if self.recorder is None:
            return Tokens(0), 0
        unclaimed = await self.recorder.end()
        return self.recorder.state.tokens, unclaimed

    async def acknowledge(
        self, tokens: int, state: StateDigest, signature: AcknowledgementSignature
    ) -> None:
        """Raises:
        OutOfOrder: before the first answer.
        AcknowledgementRefused: see `Recorder.acknowledge`.
        """
        if self.recorder is None:
            raise OutOfOrder("there is nothing to acknowledge yet", expected="an answer before")
        await self.recorder.acknowledge(tokens, state, signature)

    def tell(self, reply: Reply) -> None:
        """Hands a frame to all connections of the session."""
        for listener in list(self.listeners):
            listener(reply)

    async def _answer(self, request: PromptRequest, output: AnswerOutput) -> AnswerEnd:
        began = time.perf_counter()
        recorder = self.recorder or self._begin(request)
        if recorder.ended:
            raise SessionHasEnded(f"session {self.id} was ended by its client")
        left = recorder.meter.tokens_left
        if left == 0:
            raise DepositUsedUp(f"the deposit of job {self.id} is used up", expected="tokens left")
        wished = request.transcript_from
        _require_short(recorder, wished)
        sampler = sampler_of(request)
        turn = await self._turn(recorder, request)
        wanted = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
        generation = self._serving.engine.generate(
            GenerationRequest(
                prompt=turn.context,
                sampler=sampler,
                seed=recorder.start.header.seed,
                max_tokens=min(wanted, left),
                stop=tuple(request.stop),
                conversation=self.id,
                first_position=recorder.state.tokens,
            )
        )
        self._generation = generation
        if self._cancelled:
            generation.cancel()
        first_entry, tokens_before = recorder.entries, recorder.state.tokens
        async with generation:
            asking = asyncio.create_task(recorder.ask(turn, sampler, self.proof_is_due))
            try:
                async for place in generation.positions():
                    if place:
                        await output.position(place)
                await asyncio.shield(asking)
            except BaseException:
                await asyncio.shield(self._leave_unanswered(recorder, asking))
                raise
            self.recorder = recorder
            turn_came = time.perf_counter()
            try:
                finished = await _stream(generation, recorder, output)
            finally:
                self._serving.counted.generation_seconds.inc(time.perf_counter() - turn_came)
                await asyncio.shield(recorder.finish())
        reason, message = self._ending(finished, recorder)
        told_from = first_entry if wished is None else min(wished, first_entry)
        return AnswerEnd(
            finish=finished.reason,
            reason=reason,
            message=message,
            prompt_tokens=finished.prompt_tokens,
            completion_tokens=recorder.state.tokens - tokens_before,
            context_size=self._serving.engine.context_size,
            milliseconds=round((time.perf_counter() - began) * 1000),
            update=recorder.update(told_from),
            update_bytes=recorder.update_bytes(told_from),
        )

    async def _leave_unanswered(self, recorder: Recorder, asking: asyncio.Task[None]) -> None:
        """Nobody waits for the answer any more, before it began. A prompt that is kept is the
        transcript's nonetheless.

        Raises:
            LedgerError: when it cannot be kept.
        """
        await asking
        self.recorder = recorder
        await recorder.finish()

    async def _turn(self, recorder: Recorder, request: PromptRequest) -> Turn:
        text, context = request.prompt, self._serving.engine.context_size
        if len(text) > context * _MOST_CHARACTERS_A_TOKEN:  # not worth the time to count
            raise TokenLimitExceeded(len(text) // _USUAL_CHARACTERS_A_TOKEN, context)
        conversation = Conversation() if request.new_context else recorder.conversation()
        if len(text) < _LONG_PROMPT:
            return next_turn(self._serving.chat, conversation, text)
        return await asyncio.to_thread(next_turn, self._serving.chat, conversation, text)

    def _begin(self, request: PromptRequest) -> Recorder:
        """A new transcript. It is the session's once its first prompt is kept."""
        serving, part = self._serving, client_part(request)
        header = SessionHeader(
            self.admitted.terms(serving.weights_root),
            session_seed(self._host_part, part),
            Salt(secrets.token_bytes(Salt.LENGTH)),
        )
        return Recorder.begin(
            serving.ledger,
            SessionStart(header, self._host_part, part),
            self.admitted.claim_rules(),
            serving.checkpoint_tokens,
            serving.clock_ms,
            serving.on_job,
            serving.engine.record,
        )

    def _ending(self, finished: Finished, recorder: Recorder) -> tuple[str, str | None]:
        if self._stopping and finished.reason is FinishReason.CANCELLED:
            return "shutting_down", "the node is shutting down; what was streamed counts"
        if finished.reason is FinishReason.CANCELLED:
            return "cancelled", None
        if finished.reason is FinishReason.LENGTH and recorder.meter.tokens_left == 0:
            affordable = recorder.meter.rules.affordable
            return (
                "deposit_used_up",
                f"the deposit paid for {affordable} tokens and is used up: open another session",
            )
        return "complete", None


def _require_short(recorder: Recorder, wished: int | None) -> None:
    """Raises:
    RequestRefused: when the client wants to be told more than one update holds.
    """
    told = 0 if wished is None else recorder.update_bytes(wished)
    if told > _MOST_TOLD_BYTES:
        raise RequestRefused(
            "so much of the transcript is not told at once",
            expected=f"transcript_from with at most {_MOST_TOLD_BYTES} bytes of entries",
            got=f"about {told} bytes from entry {wished} on",
        )


async def _stream(generation: Generation, recorder: Recorder, output: AnswerOutput) -> Finished:
    """Hands tokens to the client, then to the recorder. Tokens without text wait for the next that
    has some; those that never reached the client are not counted."""
    held: list[int] = []
    async for step in generation:
        if generation.cancelled and not isinstance(step, Finished):
            continue
        if isinstance(step, GeneratedToken):
            held.append(step.token)
        if step.text and not generation.cancelled:
            await recorder.keep_up(len(held))
            await output.piece(step.text, len(held))
            recorder.streamed(held, step.text)
            held = []
        if isinstance(step, Finished):
            return step
    raise AssertionError("a generation without an end")
