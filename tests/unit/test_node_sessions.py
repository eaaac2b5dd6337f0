"""Sessions that are looked after, over a real ledger: an engine without a model and a chain in
memory, so that each can fail, stall and come late as the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from platformless.engine.chat import ChatFormat
from platformless.engine.engine import Engine
from platformless.engine.generation import Exchange, Generation
from platformless.engine.request import (
    Finished,
    FinishReason,
    GeneratedToken,
    GenerationRequest,
)
from platformless.node.errors import ClientGone, JobNotFound, JobTimedOut, RequestRefused
from platformless.node.server.updates import made
from platformless.node.sessions import live
from platformless.node.sessions import sessions as tended
from platformless.node.sessions.answering import AnswerEnd
from platformless.node.sessions.authority import AdmittedSession, SessionAuthority
from platformless.node.sessions.challenges import WalletChallenges
from platformless.node.sessions.live import LiveSession, Serving
from platformless.node.sessions.rules import SessionRules
from platformless.node.sessions.sessions import Sessions
from platformless.protocol.digests import ModelId, WeightsRoot
from platformless.protocol.frames import PromptRequest
from platformless.protocol.host_key import LocalKey
from platformless.protocol.prompt import ChatMessage
from platformless.protocol.transcript import Kind, Tokens
from platformless.prover.ledger.job_values import settlement_job
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.values import KeptSession

from .test_session_state import HOST, RULES, STARTED, session

PROOF_TIMEOUT = 300
MARGIN = 120
DUE_AT = STARTED + PROOF_TIMEOUT - MARGIN
ASKED = PromptRequest(prompt="Tell a story.")
OFTEN = SessionRules(grace_seconds=3600, tend_seconds=0.01, proof_margin_seconds=MARGIN)
LEAVING = replace(OFTEN, grace_seconds=0, settle_seconds=0)


class Chain:
    """What the chain says of sessions."""

    def __init__(self) -> None:
        self.last_proof_at = STARTED
        self.timed_out = False
        self.behind = False
        """It knows of no session."""
        self.refused = 0
        self.broken: set[int] = set()
        self.silent: set[int] = set()
        self.asked: set[int] = set()
        """Of the broken and the silent."""

    async def admit(self, session_id: int, *, timed_out_too: bool = False) -> AdmittedSession:
        if session_id in self.broken | self.silent:
            self.asked.add(session_id)
        if session_id in self.broken:
            raise RuntimeError("nobody foresaw this")
        if session_id in self.silent:
            await asyncio.Event().wait()
        if self.behind:
            self.refused += 1
            raise JobNotFound("no such job on chain")
        if self.timed_out and not timed_out_too:
            raise JobTimedOut("timed out")
        known = session(
            id=session_id,
            last_proof_at=self.last_proof_at,
            proof_interval=Tokens(100),
            proof_timeout_seconds=PROOF_TIMEOUT,
        )
        return AdmittedSession(84532, HOST, known, ModelId(b"\x21" * 32), RULES, 2000)


class Model:
    """An engine: the test says which tokens it gives."""

    record = None
    context_size = 1000

    def __init__(self) -> None:
        self.exchange = Exchange(1, 8)
        self.asked = 0

    def generate(self, request: GenerationRequest) -> Generation:
        self.asked += 1
        generation = Generation(request, self.exchange, 1 << 20)
        self.exchange.join(generation)
        return generation

    def run(self, tokens: int, *, to_the_end: bool = True) -> Generation:
        """Gives the next in line so many tokens."""
        with self.exchange.changed:
            generation = self.exchange.admit()
        for place in range(tokens):
            generation.offer(GeneratedToken(place, place, "x"))
        if to_the_end:
            generation.offer(Finished(FinishReason.STOP, 1, tokens, 0, ""))
            self.exchange.release()
        self.exchange.feed()
        return generation


class Chat:
    """A template of one token a message."""

    def opening(self, messages: tuple[ChatMessage, ...]) -> tuple[int, ...]:
        return (1,) * len(messages)

    def continuation(self, messages: tuple[ChatMessage, ...]) -> tuple[int, ...]:  # noqa: ARG002
        return (1,)


class Client:
    """Reads so many pieces."""

    def __init__(self, pieces: int = 1 << 30) -> None:
        self.left = pieces
        self.stalls = asyncio.Event()
        self.stays = True

    async def position(self, place: int) -> None:  # noqa: ARG002
        if not self.stays:
            raise ClientGone("the client went away")

    async def piece(self, text: str, tokens: int) -> None:  # noqa: ARG002
        if not self.left:
            self.stalls.set()
            await asyncio.Event().wait()
        self.left -= 1


class Place:
    """A node's sessions, and all that is around them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.chain, self.model = Chain(), Model()
        self.now = float(STARTED)
        self.running: list[Sessions] = []
        self.answers: set[asyncio.Task[AnswerEnd]] = set()

    async def sessions(self, rules: SessionRules = OFTEN) -> Sessions:
        """Those of a node that starts now."""
        serving = Serving(
            engine=cast(Engine, self.model),
            chat=cast(ChatFormat, Chat()),
            ledger=self.ledger,
            checkpoint_tokens=Tokens(1000),
            weights_root=WeightsRoot.zero(),
            clock_ms=lambda: int(self.now * 1000),
            on_job=lambda _: None,
        )
        challenges = cast(WalletChallenges, SimpleNamespace())
        authority = cast(SessionAuthority, self.chain)
        sessions = Sessions(serving, authority, challenges, LocalKey(b"\x07" * 32), rules)
        self.running.append(sessions)
        await sessions.start()
        return sessions

    async def answered(self, sessions: Sessions, session_id: int, tokens: int) -> LiveSession:
        """A session after one more answer."""
        live = await sessions._enter(session_id)
        answering = await self.asked(sessions, live, Client())
        self.model.run(tokens)
        await answering
        return live

    async def asked(
        self, sessions: Sessions, live: LiveSession, client: Client
    ) -> asyncio.Task[AnswerEnd]:
        """Once the prompt is in line."""
        before = self.model.asked
        answering = asyncio.create_task(sessions.answer(live, ASKED, client))
        self.answers.add(answering)
        while self.model.asked == before and not answering.done():
            await asyncio.sleep(0)
        return answering

    async def stalled(self, sessions: Sessions, session_id: int, read: int) -> LiveSession:
        """A session whose client reads no more than so many tokens of an answer."""
        live, client = await sessions._enter(session_id), Client(read)
        await self.asked(sessions, live, client)
        self.model.run(read + 20, to_the_end=False)
        await client.stalls.wait()
        return live

    async def kept(self, session_id: int) -> KeptSession:
        kept = await self.ledger.session(session_id)
        assert kept is not None
        return kept

    async def claimed(self, session_id: int) -> int:
        checkpoints = (await self.kept(session_id)).checkpoints
        return checkpoints[-1].tokens_after if checkpoints else 0

    async def until_claimed(self, session_id: int, tokens: int) -> None:
        async def claimed() -> bool:
            return await self.claimed(session_id) == tokens

        await until(claimed)

    async def close(self) -> None:
        for answering in self.answers:
            answering.cancel()
        if self.answers:
            await asyncio.wait(self.answers)
        for sessions in self.running:
            await sessions.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = LedgerSettings(f"sqlite:///{tmp_path}/ledger.db", b"\x07" * 32, "chain")
    async with await Ledger.open(settings) as ledger:
        place = Place(ledger)
        yield place
        await place.close()


async def test_an_answer_that_nobody_reads_is_cut_before_its_proof_would_be_late(
    place: Place,
) -> None:
    sessions = await place.sessions()
    session = await place.stalled(sessions, 7, 110)
    place.now = DUE_AT - 1
    assert not session.proof_is_due()
    place.now = DUE_AT
    await place.until_claimed(7, 110)
    assert session.is_answering
    # The claim has half of the margin to come on chain.
    assert session.seconds_until_due == MARGIN / 2


async def test_an_answer_that_goes_on_is_cut_by_its_stream(place: Place) -> None:
    sessions = await place.sessions(replace(OFTEN, tend_seconds=3600))
    session, client = await sessions._enter(7), Client()
    answering = await place.asked(sessions, session, client)
    place.now = DUE_AT
    place.model.run(110)
    end = await answering
    assert end.completion_tokens == 110
    assert await place.claimed(7) == 100


async def test_a_proof_that_came_on_chain_puts_the_next_one_off(place: Place) -> None:
    sessions = await place.sessions(replace(OFTEN, recheck_seconds=0.02))
    session = await place.stalled(sessions, 7, 110)
    place.chain.last_proof_at = STARTED + 200
    place.now = DUE_AT - 0.01

    async def heard() -> bool:
        return session.admitted.session.last_proof_at == STARTED + 200

    await until(heard)
    place.now = DUE_AT
    assert session.seconds_until_due == 200
    assert await place.claimed(7) == 0


async def test_a_client_that_goes_while_it_waits_leaves_its_prompt(place: Place) -> None:
    sessions = await place.sessions()
    other = place.model.generate(GenerationRequest(prompt=(1,)))
    place.model.run(0, to_the_end=False)
    session, client = await sessions._enter(7), Client()
    client.stays = False
    with pytest.raises(ClientGone):
        await sessions.answer(session, ASKED, client)
    place.model.exchange.release()
    assert other.queue_position == 0
    assert [one.entry.kind for one in (await place.kept(7)).entries] == [Kind.PROMPT]
    await place.answered(sessions, 7, 110)
    kinds = [one.entry.kind for one in (await place.kept(7)).entries]
    assert kinds == [Kind.PROMPT, Kind.PROMPT, Kind.COMPLETION]


async def test_what_was_answered_before_such_a_prompt_can_be_claimed(place: Place) -> None:
    sessions = await place.sessions()
    session, client = await place.answered(sessions, 7, 110), Client()
    place.model.generate(GenerationRequest(prompt=(1,)))
    place.model.run(0, to_the_end=False)
    client.stays = False
    with pytest.raises(ClientGone):
        await sessions.answer(session, ASKED, client)
    assert await session.cut() is not None
    assert await place.claimed(7) == 110


@pytest.mark.parametrize("trouble", ["silent", "broken"])
async def test_checkpoints_are_cut_whatever_the_chain_does_to_other_sessions(
    place: Place, trouble: str
) -> None:
    sessions = await place.sessions(LEAVING)
    await place.answered(sessions, 7, 110)
    getattr(place.chain, trouble).add(7)
    await place.until_claimed(7, 110)

    async def asked() -> bool:
        return 7 in place.chain.asked

    await until(asked)
    await place.answered(sessions, 8, 110)
    await place.until_claimed(8, 110)


async def test_the_chain_is_asked_about_others_while_it_says_nothing_of_one(place: Place) -> None:
    for session_id in (7, 8):
        sessions = await place.sessions(replace(OFTEN, tend_seconds=3600))
        await place.answered(sessions, session_id, 110)
    sessions = await place.sessions(replace(LEAVING, tend_seconds=0.01))
    place.chain.silent.add(7)

    async def settled() -> bool:
        return await place.ledger.jobs.find(settlement_job(8)) is not None

    await until(settled)


async def test_what_timed_out_while_the_node_was_down_is_still_claimed(place: Place) -> None:
    crashed = await place.sessions(replace(OFTEN, tend_seconds=3600))
    await place.answered(crashed, 7, 110)
    place.chain.timed_out = True
    sessions = await place.sessions()
    kept = await place.kept(7)
    assert kept.ended
    assert kept.entries[-1].entry.kind is Kind.END
    assert await place.claimed(7) == 110
    assert await place.ledger.jobs.find(settlement_job(7)) is not None
    assert sessions.live() == []


async def test_a_session_that_an_endpoint_does_not_know_is_ended_later(place: Place) -> None:
    """The endpoint is behind: what was answered must not be given up for that."""
    crashed = await place.sessions(replace(OFTEN, tend_seconds=3600))
    await place.answered(crashed, 7, 110)
    place.chain.behind = True
    await place.sessions(LEAVING)

    async def was_asked_again() -> bool:
        return place.chain.refused > 2

    await until(was_asked_again)
    assert not (await place.kept(7)).ended
    place.chain.behind = False
    await place.until_claimed(7, 110)


async def test_a_client_that_does_not_read_does_not_keep_the_node_from_stopping(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tended, "_CANCELLED_SECONDS", 0.05)
    sessions = await place.sessions(replace(OFTEN, tend_seconds=3600))
    session = await place.stalled(sessions, 7, 110)
    async with asyncio.timeout(60):
        await sessions.drain(0)
    assert session.is_answering
    assert await place.claimed(7) == 110


async def test_idle_sessions_are_cut_before_answers_are_waited_for(place: Place) -> None:
    sessions = await place.sessions(replace(OFTEN, tend_seconds=3600))
    await place.answered(sessions, 8, 110)
    await place.stalled(sessions, 7, 110)
    draining = asyncio.create_task(sessions.drain(3600))
    await place.until_claimed(8, 110)
    assert not draining.done()
    draining.cancel()
    await asyncio.wait({draining})


async def test_a_client_is_told_no_more_at_once_than_a_frame_holds(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = await place.sessions()
    session = await place.answered(sessions, 7, 110)
    recorder = session.recorder
    assert recorder is not None
    monkeypatch.setattr(live, "_MOST_TOLD_BYTES", recorder.update_bytes(1))
    whole, part = (replace_request(first) for first in (0, 1))
    with pytest.raises(RequestRefused):
        await sessions.answer(session, whole, Client())
    assert place.model.asked == 1
    answering = asyncio.create_task(sessions.answer(session, part, Client()))
    while place.model.asked == 1:
        await asyncio.sleep(0)
    place.model.run(5)
    end = await answering
    assert (end.update.first_entry, len(end.update.entries)) == (1, 3)
    size = len(end.update.encode())
    assert size / 2 < end.update_bytes < 2 * size
    for large, elsewhere in ((False, False), (True, True)):
        told = replace(end, update_bytes=large << 20)
        thread = await made(told, threading.current_thread)
        assert (thread is not threading.current_thread()) == elsewhere


def replace_request(first: int) -> PromptRequest:
    return PromptRequest(prompt=ASKED.prompt, transcript_from=first)
