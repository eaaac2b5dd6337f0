"""The recorder: never more unkept than is promised, nothing counted twice, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from platformless.node.errors import AcknowledgementRefused
from platformless.node.sessions.conversation import Turn
from platformless.node.sessions.keeping import LOSS_TOKENS
from platformless.node.sessions.metering import ClaimRules
from platformless.node.sessions.recorder import Recorder
from platformless.protocol.acknowledgement import Acknowledged
from platformless.protocol.digests import StateDigest
from platformless.protocol.engine_record import EngineRecord
from platformless.protocol.header import SessionHeader
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.seed import SeedPart, session_seed
from platformless.protocol.transcript import Kind, Sampler, State, Tokens
from platformless.prover.ledger.errors import LedgerUnavailable
from platformless.prover.ledger.ledger import Ledger
from platformless.prover.ledger.settings import LedgerSettings
from platformless.prover.ledger.values import Changes, SessionStart, StreamedTokens
from tests.samples import HEADER

HOST, CLIENT = SeedPart(b"\x01" * 32), SeedPart(b"\x02" * 32)
START = SessionStart(
    SessionHeader(HEADER.terms, session_seed(HOST, CLIENT), HEADER.salt), HOST, CLIENT
)
ID = HEADER.terms.session_id
RULES = ClaimRules(Tokens(100), Tokens(100), Tokens(5000))
SAMPLER = Sampler(0.7, 40, 0.95)
ENGINE = EngineRecord("llama-cpp-python 0.3, system 01234567", 0, 1, 32, 8, "f16", True)
TURN = Turn(Prompt((ChatMessage("user", "Q"),)), (1, 2, 3), (1, 2, 3))


class GatedLedger:
    """A ledger whose streamed tokens wait at a gate, or are refused."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def append(self, session_id: int, changes: Changes) -> None:
        if changes.streamed is not None:
            await self.gate.wait()
        if self.fails:
            raise LedgerUnavailable("the disk is gone")
        await self.ledger.append(session_id, changes)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    settings = LedgerSettings(f"sqlite:///{tmp_path}/ledger.db", b"\x07" * 32, "chain")
    async with await Ledger.open(settings) as ledger:
        yield ledger


@pytest.fixture
def gated(ledger: Ledger) -> GatedLedger:
    return GatedLedger(ledger)


@pytest.fixture
def recorder(gated: GatedLedger) -> Recorder:
    return Recorder.begin(gated, START, RULES, Tokens(1000), lambda: 5)  # type: ignore[arg-type]


async def resumed(ledger: Ledger, engine: EngineRecord | None = None) -> Recorder:
    kept = await ledger.session(ID)
    assert kept is not None
    return await Recorder.resume(ledger, kept, RULES, Tokens(1000), lambda: 6, engine=engine)


async def stream(recorder: Recorder, count: int) -> None:
    for token in range(count):
        recorder.streamed([token], "x")
        await recorder.keep_up()


async def test_a_stream_waits_when_too_much_is_not_kept(
    recorder: Recorder, gated: GatedLedger
) -> None:
    await recorder.ask(TURN, SAMPLER)
    gated.gate.clear()
    sent = 0

    async def endless() -> None:
        nonlocal sent
        while True:
            recorder.streamed([sent], "x")
            sent += 1
            await recorder.keep_up()

    streaming = asyncio.create_task(endless())
    while not streaming.done() and sent < LOSS_TOKENS:
        await asyncio.sleep(0)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert sent <= LOSS_TOKENS
    gated.gate.set()
    async with asyncio.timeout(10):
        while sent < 10 * LOSS_TOKENS:
            await asyncio.sleep(0.001)
    streaming.cancel()


async def test_an_answer_that_fills_a_checkpoint_keeps_its_last_text(
    recorder: Recorder, ledger: Ledger
) -> None:
    """What was held back, half a character or what began like a stop string, comes at the end."""
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 999)
    recorder.streamed([999], "x")
    await recorder.keep_up(0)
    recorder.streamed([], "rest")
    await recorder.finish()
    kept = await ledger.session(ID)
    assert kept is not None
    answer = kept.entries[-1].entry
    assert (len(answer.tokens), answer.text) == (1000, "x" * 1000 + "rest")
    assert [one.tokens_after for one in kept.checkpoints] == [1000]


@pytest.mark.parametrize("tokens", [1, 3, 20, LOSS_TOKENS, 50])
async def test_a_piece_of_several_tokens_waits_for_its_room(
    recorder: Recorder, gated: GatedLedger, tokens: int
) -> None:
    await recorder.ask(TURN, SAMPLER)
    gated.gate.clear()
    sent = 0

    async def endless() -> None:
        nonlocal sent
        while True:
            await recorder.keep_up(tokens)
            recorder.streamed([7] * tokens, "x")
            sent += tokens

    streaming = asyncio.create_task(endless())
    for _ in range(1000):
        await asyncio.sleep(0)
    # One that is larger than all the room goes alone.
    assert sent == max(LOSS_TOKENS // tokens, 1) * tokens
    gated.gate.set()
    async with asyncio.timeout(10):
        while sent < 10 * LOSS_TOKENS:
            await asyncio.sleep(0.001)
    streaming.cancel()


async def test_what_is_late_is_waited_for(
    recorder: Recorder, gated: GatedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformless.node.sessions.keeping.LOSS_SECONDS", 0.0)
    await recorder.ask(TURN, SAMPLER)
    gated.gate.clear()
    recorder.streamed([1], "x")
    waiting = asyncio.create_task(recorder.keep_up())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()
    gated.gate.set()
    await waiting


async def test_an_answer_is_one_entry(recorder: Recorder, ledger: Ledger) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 75)
    await recorder.finish()
    kept = await ledger.session(ID)
    assert kept is not None
    assert [one.entry.kind for one in kept.entries] == [Kind.PROMPT, Kind.COMPLETION]
    assert kept.entries[1].entry.tokens == tuple(range(75))
    assert kept.streamed == ()
    assert recorder.state.tokens == 75


async def test_what_was_kept_of_an_answer_is_its_entry_after_a_crash(
    recorder: Recorder, ledger: Ledger
) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 75)
    async with asyncio.timeout(10):
        while sum(len(part.tokens) for part in (await kept_parts(ledger))) < 75:
            await asyncio.sleep(0.01)
    after = await resumed(ledger)
    assert after.state.tokens == 75
    assert after.state.last_kind is Kind.COMPLETION
    again = await resumed(ledger)
    assert again.state == after.state


async def answered(recorder: Recorder, count: int) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, count)
    await recorder.finish()


async def test_what_a_crashed_node_streamed_is_not_said_of_the_next_ones_engine(
    recorder: Recorder, ledger: Ledger
) -> None:
    """Not even where a checkpoint was cut just before."""
    await answered(recorder, 110)
    assert await recorder.cut() is not None
    streamed = StreamedTokens(recorder.entries, 0, (1, 2), "xx", SAMPLER, 5)
    await ledger.append(ID, Changes(streamed=streamed))
    after = await resumed(ledger, ENGINE)
    assert after.state.tokens == 112
    for told in (None, ENGINE):
        await answered(after, 110)
        checkpoint = await after.cut()
        assert checkpoint is not None
        assert checkpoint.delta.engine == told


async def test_a_client_is_told_of_the_engine_for_what_it_gave(
    recorder: Recorder, ledger: Ledger
) -> None:
    await answered(recorder, 10)
    after = await resumed(ledger, ENGINE)
    own = after.entries
    await answered(after, 10)
    assert after.update(own).engine == ENGINE
    assert after.update(own - 1).engine is None


async def test_a_node_that_goes_on_with_the_same_settings_says_so(ledger: Ledger) -> None:
    """A client may leave before a checkpoint and come back, or the node start again."""
    begun = Recorder.begin(ledger, START, RULES, Tokens(1000), lambda: 5, engine=ENGINE)
    await answered(begun, 10)
    same = await resumed(ledger, ENGINE)
    assert same.update(0).engine == ENGINE
    await answered(same, 100)
    checkpoint = await same.cut()
    assert checkpoint is not None
    assert checkpoint.delta.engine == ENGINE
    await answered(same, 10)
    other = await resumed(ledger, replace(ENGINE, threads=7))
    assert other.update(0).engine is None
    await answered(other, 100)
    mixed = await other.cut()
    assert mixed is not None
    assert mixed.delta.engine is None


async def kept_parts(ledger: Ledger) -> tuple[StreamedTokens, ...]:
    kept = await ledger.session(ID)
    assert kept is not None
    return kept.streamed


async def test_an_answer_without_tokens_leaves_its_question(
    recorder: Recorder, ledger: Ledger
) -> None:
    await recorder.ask(TURN, SAMPLER)
    await recorder.finish()
    assert (await resumed(ledger)).state == recorder.state
    assert recorder.state.last_kind is Kind.PROMPT


async def test_a_ledger_that_fails_counts_nothing(recorder: Recorder, gated: GatedLedger) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 5)
    gated.fails = True
    with pytest.raises(LedgerUnavailable):
        await recorder.finish()
    assert recorder.state.tokens == 0
    gated.fails = False
    await recorder.finish()
    assert recorder.state.tokens == 5


async def test_a_ledger_that_fails_in_mid_stream_is_heard_of(
    recorder: Recorder, gated: GatedLedger
) -> None:
    await recorder.ask(TURN, SAMPLER)
    gated.fails = True
    with pytest.raises(LedgerUnavailable):
        await stream(recorder, 10 * LOSS_TOKENS)


async def test_a_prompt_that_cannot_be_kept_changes_nothing(
    recorder: Recorder, gated: GatedLedger
) -> None:
    gated.fails = True
    with pytest.raises(LedgerUnavailable):
        await recorder.ask(TURN, SAMPLER)
    gated.fails = False
    await recorder.ask(TURN, SAMPLER)
    assert recorder.entries == 1


async def test_a_transcript_is_the_same_after_a_restart(recorder: Recorder, ledger: Ledger) -> None:
    for _ in range(3):
        await recorder.ask(TURN, SAMPLER)
        await stream(recorder, 60)
        await recorder.finish()
    assert await recorder.cut() is not None
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 10)
    await recorder.finish()
    after = await resumed(ledger)
    assert after.meter == recorder.meter
    assert after.update(0) == recorder.update(0)
    assert after.conversation() == recorder.conversation()


async def test_every_checkpoints_window_can_be_made_again(
    recorder: Recorder, ledger: Ledger
) -> None:
    for _ in range(3):
        await recorder.ask(TURN, SAMPLER)
        await stream(recorder, 110)
        await recorder.finish()
        checkpoint = await recorder.cut()
        assert checkpoint is not None
        window = await ledger.window(ID, checkpoint.number)
        assert window.claim().state_after == checkpoint.state_after
        assert window.delta_digest == checkpoint.delta.digest()


async def test_nothing_is_cut_while_an_answer_is_under_way(recorder: Recorder) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 150)
    assert await recorder.cut() is None
    await recorder.finish()
    assert await recorder.cut() is not None


async def test_little_is_cut_when_its_proof_would_be_late(recorder: Recorder) -> None:
    """In the middle of an answer and at its end; less than the contract takes, never."""
    due = False
    await recorder.ask(TURN, SAMPLER, lambda: due)
    await stream(recorder, 99)
    assert recorder.meter.claimed == 0
    due = True
    await stream(recorder, 11)
    assert recorder.meter.claimed == 100
    await recorder.finish()
    assert (recorder.meter.claimed, recorder.meter.unclaimed) == (100, 10)
    due = False
    await recorder.ask(TURN, SAMPLER, lambda: due)
    await stream(recorder, 95)
    due = True
    await recorder.finish()
    assert recorder.meter.claimed == 205


async def test_another_may_cut_an_answer_while_its_client_is_sent_more(
    recorder: Recorder, ledger: Ledger
) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 110)
    cutting = asyncio.create_task(recorder.cut_within())
    while not recorder._cutting.locked():
        await asyncio.sleep(0)
    recorder.streamed([110, 111], "xx")
    await recorder.keep_up()
    await cutting
    assert recorder.meter.claimed == 110
    await stream(recorder, 20)
    await recorder.finish()
    kept = await ledger.session(ID)
    assert kept is not None
    parts = [one.entry.tokens for one in kept.entries[1:]]
    assert parts == [tuple(range(110)), (110, 111, *range(20))]
    assert kept.streamed == ()
    assert (await resumed(ledger)).meter == recorder.meter


async def test_no_empty_answer_is_made_of_what_could_not_be_cut_before(
    recorder: Recorder, ledger: Ledger
) -> None:
    await answered(recorder, 150)
    kept = await ledger.session(ID)
    assert kept is not None
    after = await Recorder.resume(ledger, kept, RULES, Tokens(100), lambda: 6)
    await after.ask(TURN, SAMPLER)
    await after.keep_up()
    assert after.meter.claimed == 150
    await stream(after, 5)
    await after.finish()
    kept = await ledger.session(ID)
    assert kept is not None
    assert [len(one.entry.tokens) for one in kept.entries] == [3, 150, 3, 5]
    assert (await resumed(ledger)).meter == after.meter


async def test_a_transcript_ends_once(recorder: Recorder, ledger: Ledger) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 30)
    await recorder.finish()
    assert await recorder.end() == 30
    assert await recorder.end() == 30
    assert recorder.ended
    assert await ledger.open_sessions() == []


async def test_nothing_is_kept_of_an_answer_that_is_over(
    recorder: Recorder, ledger: Ledger
) -> None:
    """Each batch sets a timer; none may go off after the end, or the tokens are there twice."""
    await recorder.ask(TURN, SAMPLER)
    for count in (16, 16, 3):
        await recorder.keep_up()
        for token in range(count):
            recorder.streamed([token], "x")
        await recorder.keep_up()
        await asyncio.sleep(0.02)
    await recorder.finish()
    await asyncio.sleep(0.3)
    kept = await ledger.session(ID)
    assert kept is not None
    assert kept.streamed == ()
    assert (await resumed(ledger)).state == recorder.state


async def test_only_the_client_acknowledges_and_only_what_was(recorder: Recorder) -> None:
    await recorder.ask(TURN, SAMPLER)
    await stream(recorder, 30)
    await recorder.finish()
    terms, state = HEADER.terms, recorder.state
    said = Acknowledged(
        terms.chain_id, terms.marketplace, terms.session_id, state.tokens, state.digest
    )
    foreign = said.sign(b"\x66" * 32)
    for tokens, digest in ((30, StateDigest.zero()), (29, state.digest), (30, state.digest)):
        with pytest.raises(AcknowledgementRefused):
            await recorder.acknowledge(tokens, digest, foreign)


async def test_an_update_holds_the_entries_from_one_on(recorder: Recorder) -> None:
    for _ in range(2):
        await recorder.ask(TURN, SAMPLER)
        await stream(recorder, 3)
        await recorder.finish()
    start = State.initial(START.header)
    assert recorder.update(0).follow(start) == recorder.state
    assert len(recorder.update(2).entries) == 2
    assert recorder.update(99).entries == ()
