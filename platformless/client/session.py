"""A paid session with a host: connect, ask, verify, acknowledge, end; and connect again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import aiohttp

from ..closing import AsyncClosing
from ..protocol.digests import StateDigest
from ..protocol.errors import ProtocolError
from ..protocol.seed import SeedCommitment, SeedPart
from ..protocol.transcript import Entry, Tokens
from .answer import Answer, Ending, Report, Sent
from .channel import Ended, SessionChannel
from .connection import ConnectionLimits, HostConnection, Notice, OnNotice
from .errors import (
    AnswerUnderWay,
    ClientError,
    ConnectionProblem,
    HostDistrusted,
    HostLied,
    HostRefused,
    HostUnproven,
    NotConnected,
    RequestInvalid,
    TokensMiscounted,
    UpdateMissing,
)
from .requests import Question, Sampling
from .saved import SavedSession
from .turns import Exchange, Turn
from .verifying import Agreed, VerifiedTranscript
from .wallet import Wallet
from .web import HostWeb, websocket_url


class ClientSession(AsyncClosing):
    """One session. As a context manager it is connected, and disconnected at the end; leaving the
    block does not end the session on chain.

    Args:
        api_url: Of the host.
        keep: Called with the session whenever it has changed, before anything is sent that follows
            from the change; to save it.
    """

    def __init__(
        self,
        saved: SavedSession,
        wallet: Wallet,
        api_url: str,
        http: aiohttp.ClientSession,
        *,
        limits: ConnectionLimits | None = None,
        keep: Callable[[SavedSession], None] | None = None,
    ) -> None:
        self.wallet = wallet
        self.api_url = api_url
        self.limits = limits or ConnectionLimits()
        self._saved = saved
        self._http = http
        self._web = HostWeb(http, api_url, seconds=self.limits.open_seconds)
        self._keep_elsewhere = keep
        self._channel: SessionChannel | None = None
        self._answer: Answer | None = None
        self._tokens_left: int | None = None
        self.on_notice: OnNotice | None = None
        """Called with what the host says about proofs while the session is connected. What it
        says is proven by the chain and the bundles only."""

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    # What is known

    @property
    def id(self) -> int:
        """Job id on chain."""
        return self.agreed.session_id

    @property
    def agreed(self) -> Agreed:
        return self._saved.transcript.agreed

    @property
    def transcript(self) -> VerifiedTranscript:
        """What is verified, and what was asked since, with all the text that came."""
        transcript = self._saved.transcript
        if self._answer is not None and not self._answer.is_over and transcript.unsettled:
            return transcript.hearing(self._answer.received)
        return transcript

    @property
    def history(self) -> tuple[Entry, ...]:
        """The verified entries."""
        return self._saved.transcript.entries

    @property
    def turns(self) -> list[Turn]:
        """The verified entries as questions and answers."""
        return self._saved.transcript.turns

    @property
    def tokens(self) -> Tokens:
        """Completion tokens that are verified; these are billed."""
        return self._saved.transcript.tokens

    @property
    def tokens_left(self) -> int | None:
        """What the deposit still pays for, by what the host said on connecting."""
        return self._tokens_left

    @property
    def distrust(self) -> str | None:
        """What the host lied about, if it did: then nothing more is asked of it."""
        return self._saved.distrust

    @property
    def is_connected(self) -> bool:
        return self._channel is not None and self._channel.is_open

    def saved(self) -> SavedSession:
        """The session as it is now; `encode` gives the bytes to keep."""
        return replace(self._saved, transcript=self.transcript)

    # What is done

    async def connect(self) -> None:
        """Connects, or connects again, and begins with a fresh key. The host's account of the
        session is compared with what is verified.

        Raises:
            HostUnreachable, ChallengeForeign, HostUnproven, HostRefused, ConnectionProblem
            HostForgot, StateChanged, CommitmentChanged: the host is not to be trusted.
        """
        await self.close()
        connection = await HostConnection.open(
            self._http, websocket_url(self.api_url), self.limits, self._notice
        )
        self._channel = SessionChannel(
            connection, self.agreed, self.wallet, self._saved.host_key, self._web
        )
        try:
            await self._begin(self._channel)
        except BaseException as error:
            if isinstance(error, HostLied):
                self._keep(distrust=str(error))
            await self.close()
            raise

    def _notice(self, notice: Notice) -> None:
        if self.on_notice is not None:
            self.on_notice(notice)

    async def ask(
        self,
        prompt: str,
        *,
        max_tokens: int = 4000,
        sampling: Sampling | None = None,
        stop: tuple[str, ...] = (),
        new_context: bool = False,
    ) -> Answer:
        """Sends a prompt. The answer's text is read from what is returned.

        Args:
            new_context: The model shall not see the conversation so far: the way on when it fills
                the context (`TOKEN_LIMIT_EXCEEDED`).

        Raises:
            RequestInvalid, HostDistrusted, NotConnected, AnswerUnderWay, ConnectionLost
        """
        question = Question(prompt, max_tokens, sampling or Sampling(), stop, new_context)
        if self.distrust is not None:
            raise HostDistrusted("the host lied in this session", got=self.distrust)
        channel = self._idle()
        before = self._saved.transcript
        exchange = Exchange(
            prompt, max_tokens, sampler=question.sampling.sampler(), new_context=new_context
        )
        self._keep(transcript=before.asking(exchange))
        self._answer = None
        try:
            sent = await channel.ask(question, self._saved.transcript)
        except RequestInvalid:
            self._keep(transcript=before)
            raise
        except ConnectionProblem:
            await self.close()
            raise
        self._answer = Answer(self, sent, question)
        return self._answer

    async def end(self) -> Ended:
        """Signs the end of the transcript, tells the host that the session is over, and
        disconnects. The host claims what it has delivered, and settles on chain.

        Raises:
            NotConnected, AnswerUnderWay, HostRefused, HostTooSlow, ConnectionLost
            TokensMiscounted: when the host counts other tokens than are verified.
        """
        channel = self._idle()
        signed = self._saved.transcript.acknowledged_end()
        if signed is not None:
            # A host of before may know no such state; that does not keep the session from ending.
            with contextlib.suppress(HostRefused):
                await channel.acknowledge(signed)
        ended = await channel.end()
        await self.close()
        if ended.tokens != self.tokens and not self._saved.transcript.unsettled:
            lie = TokensMiscounted(
                "the host ends the session with another number of tokens",
                expected=self.tokens,
                got=ended.tokens,
            )
            self._keep(distrust=str(lie))
            raise lie
        return ended

    async def close(self) -> None:
        """Disconnects. The session can be connected again until it is over on chain; the host may
        settle it after a while."""
        self._keep(transcript=self.transcript)
        self._answer = None
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    # What answers need (answer.Asking)

    async def send_again(self, question: Question) -> Sent:
        """See `answer.Asking`."""
        channel = self._open()
        await self._begin(channel)
        return await channel.ask(question, self._saved.transcript)

    def verify(self, answer: Answer, ending: Ending) -> Report:
        """See `answer.Asking`."""
        if answer is not self._answer:
            raise NotConnected("the connection of this answer was closed")
        end, update = ending.end, ending.update
        if update is None:
            raise UpdateMissing("the answer ended without its transcript")
        heard = self._saved.transcript.hearing(answer.received)
        after = heard.take(update, end.tokens_used)
        self._keep(transcript=after)
        if self._tokens_left is not None:
            self._tokens_left = max(0, self._tokens_left - end.tokens_used)
        return Report(
            text=answer.received,
            tokens=Tokens(end.tokens_used),
            finish_reason=ending.finish_reason,
            reason=end.reason,
            message=end.message,
            session_tokens=update.tokens,
            state=update.state,
            seconds_to_first_token=answer.seconds_to_first_token,
            seconds=answer.seconds,
            usage=end.usage,
        )

    async def acknowledge(self) -> None:
        """Signs what is verified, if an answer is the last of it, and waits until the host has the
        signatures: one, and one more for each checkpoint that was cut within the answer.

        Raises:
            NotConnected, HostRefused, HostTooSlow, ConnectionLost
            TokensMiscounted: when the host confirms another number.
        """
        for what in self._saved.transcript.acknowledged():
            await self._open().acknowledge(what)

    async def broke_off(self, answer: Answer, error: ClientError) -> None:
        """See `answer.Asking`."""
        if answer is not self._answer:
            return  # of an earlier connection; what came of it is kept already
        transcript = self._saved.transcript
        if transcript.unsettled:
            transcript = transcript.hearing(answer.received)
        distrust = str(error) if isinstance(error, HostLied) else self.distrust
        self._keep(transcript=transcript, distrust=distrust)
        if isinstance(error, (HostLied, ConnectionProblem)):
            await self.close()

    # Steps

    async def _begin(self, channel: SessionChannel) -> None:
        ack = await channel.begin()
        if ack.seed_commitment is None or ack.entries is None:
            raise HostUnproven("the host does not say where the session stands")
        try:
            commitment = SeedCommitment.from_hex(ack.seed_commitment)
            state = StateDigest.from_hex(ack.state) if ack.state else None
        except ProtocolError as error:
            raise HostUnproven(error.message, got=error.got) from error
        fresh_part = SeedPart(os.urandom(SeedPart.LENGTH))
        self._keep(
            transcript=self._saved.transcript.greeted(commitment, ack.entries, state, fresh_part)
        )
        self._tokens_left = ack.tokens_left

    def _open(self) -> SessionChannel:
        if self._channel is None or not self._channel.is_open:
            raise NotConnected("the session is not connected")
        return self._channel

    def _idle(self) -> SessionChannel:
        channel = self._open()
        if self._answer is not None and not self._answer.is_over:
            raise AnswerUnderWay("an answer is under way", expected="one at a time")
        return channel

    def _keep(
        self, *, transcript: VerifiedTranscript | None = None, distrust: str | None = None
    ) -> None:
        changed = replace(
            self._saved,
            transcript=transcript or self._saved.transcript,
            distrust=distrust or self._saved.distrust,
        )
        if changed != self._saved:
            self._saved = changed
            if self._keep_elsewhere is not None:
                self._keep_elsewhere(changed)
