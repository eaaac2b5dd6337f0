"""A live session, exported by its client and audited with the model: bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platformless.audit.session import AuditInputs, AuditPolicy, AuditReport, audit_session
from platformless.client.saved import saved_path
from platformless.engine.model import packaged_model
from platformless.protocol.exported import ExportedTranscript
from platformless.protocol.transcript import Kind
from platformless.storage.client import ClientSettings, PortalClient
from platformless.storage.portals import Portals

from .served import Served
from .served import served as served

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUESTIONS = ("What is a lighthouse?", "Who lives in one?")


async def exported(served: Served) -> tuple[int, ExportedTranscript]:
    """A session of two answers, drawn at the client's default temperature."""
    nodes = served.nodes
    async with nodes.client(folder="audited") as client:
        session = await nodes.open(client)
        async with session:
            for question in QUESTIONS:
                await (await session.ask(question, max_tokens=40)).text()
        path = saved_path(nodes.folder / "audited", session.id)
    return session.id, ExportedTranscript.decode(path.read_bytes())


async def audited(
    served: Served, session_id: int, transcript: ExportedTranscript, stages: list[str]
) -> AuditReport:
    """Nothing is billed yet, so storage is not asked."""
    inputs = AuditInputs(
        policy=AuditPolicy(require_exact_replay=True),
        transcript=transcript,
        model=packaged_model(),
    )

    def on_stage(stage: str, done: int, total: int) -> None:
        stages.append(f"{stage} {done}/{total}")

    async with Portals([PortalClient(ClientSettings("http://127.0.0.1:1"))]) as storage:
        return await audit_session(served.nodes.world.chain, storage, session_id, inputs, on_stage)


async def test_what_a_client_received_is_the_models_bit_for_bit(served: Served) -> None:
    session_id, transcript = await exported(served)
    assert transcript.engine == served.node.engine.record
    stages: list[str] = []
    report = await audited(served, session_id, transcript, stages)
    assert report.accepted, report.findings
    assert report.replay is not None
    assert report.replay.mode.value == "exact"
    assert report.replay.model.matches
    assert report.replay.model.bound
    tokens = sum(entry.billed for entry in transcript.entries)
    assert len(report.replay.tokens) == tokens > 20
    assert report.replay.verdict.mismatches == 0
    stage, _, count = stages[-1].rpartition(" ")
    done, _, total = count.partition("/")
    assert (stage, done) == ("replaying the transcript", total)


async def test_a_token_that_the_model_did_not_choose_is_found(served: Served) -> None:
    session_id, transcript = await exported(served)
    number = next(n for n, one in enumerate(transcript.entries) if one.kind is Kind.COMPLETION)
    answer = transcript.entries[number]
    tokens = (*answer.tokens[:5], answer.tokens[5] + 1, *answer.tokens[6:])
    entries = list(transcript.entries)
    entries[number] = replace(answer, tokens=tokens)
    report = await audited(served, session_id, replace(transcript, entries=tuple(entries)), [])
    assert "AUD-410" in {one.code for one in report.errors}
