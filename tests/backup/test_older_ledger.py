"""A ledger older than the chain: nothing is billed twice, and what is in it and unbilled is billed.

The prover is the stand-in of `tests.pipeline`; ledger, outbox, publication, portal and chain are
real. An older copy is what a restored backup is.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from platformless.chain.events import SessionEvents
from platformless.chain.session import ProofSubmission
from platformless.node.backup.databases import copy_sqlite
from platformless.protocol.digests import ProofHash
from platformless.protocol.transcript import Tokens
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import checkpoint_job, sample_job
from platformless.storage.cids import BlobId
from tests.pipeline.line import Line
from tests.pipeline.stage import TOKENS
from tests.pipeline.stand_in import StandInProver, StandInTracer

PARTS = ("publication",)
DATABASES = ("ledger.db", "outbox.db")


def copied(source: Path, target: Path) -> Path:
    """What a backup holds of a folder, in its order."""
    target.mkdir()
    for name in DATABASES:
        if (source / name).exists():
            copy_sqlite(source / name, target / name)
    for name in PARTS:
        if (source / name).exists():
            shutil.copytree(source / name, target / name)
    return target


@asynccontextmanager
async def restored(line: Line, folder: Path) -> AsyncIterator[Line]:
    """The same host on another machine, with an older folder, and the same portal."""
    other = Line(line.world, folder, line.broker_url, portal_url=line.portal_url)
    other.ahead_ms = line.ahead_ms
    tag = line.tag
    async with other:
        await other.ledger.close()
        other.tag = tag
        other.ledger = await other.open_ledger()
        other.sessions = line.sessions
        try:
            yield other
        finally:
            await other.ledger.close()


async def proofs(line: Line, session_id: int) -> list[tuple[int, str, str]]:
    """What the chain has of a session, in order."""
    events = await SessionEvents(line.chain).proofs(await line.on_chain(session_id))
    return [(one.tokens, str(one.proof_hash), one.delta_cid) for one in events]


async def sent(line: Line, session_id: int, tokens: int, cid: str) -> None:
    """A proof that the lost machine submitted."""
    proof_hash = ProofHash.of(f"of session {session_id}".encode())
    submission = ProofSubmission(session_id, Tokens(tokens), proof_hash, cid, cid)
    await line.world.send("host", line.marketplace.submit_proof(submission))


async def test_a_proof_that_the_chain_has_is_taken_over_and_not_submitted_again(
    line: Line, tmp_path: Path
) -> None:
    session_id = await line.open()
    await line.record(session_id, checkpoints=2)
    older = copied(tmp_path, tmp_path / "older")
    async with line.running():
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
        await line.until_state(checkpoint_job(session_id, 1), JobState.CONFIRMED)
    before = await proofs(line, session_id)
    assert len(before) == 2
    async with restored(line, older) as other, other.running():
        for number in range(2):
            await other.until_state(checkpoint_job(session_id, number), JobState.CONFIRMED)
        assert await proofs(other, session_id) == before
        told = await other.jobs.submission(checkpoint_job(session_id, 1))
        assert told.delta_cid == before[1][2]


@pytest.mark.parametrize("traced", [True, False], ids=["traced", "untraced"])
async def test_a_proof_that_is_taken_over_has_the_trace_that_it_was_published_with(
    line: Line, tmp_path: Path, traced: bool
) -> None:
    """The machine that is lost traced, and this one does not; or the other way round."""
    session_id = await line.open()
    await line.record(session_id)
    older = copied(tmp_path, tmp_path / "older")
    checkpoint, sample = checkpoint_job(session_id, 0), sample_job(session_id, 0)
    tracer = StandInTracer()
    async with line.settling(), line.proving(tracer=tracer if traced else None):
        await line.until_state(checkpoint, JobState.CONFIRMED)
    published = await line.jobs.artefact(checkpoint)
    assert published is not None
    assert (published.trace_root is not None) is traced
    async with restored(line, older) as other:
        async with other.settling(), other.proving(tracer=None if traced else tracer):
            await other.until_state(checkpoint, JobState.CONFIRMED)
        found = await other.jobs.artefact(checkpoint)
        assert found is not None
        assert (found.proof_hash, found.trace_root) == (published.proof_hash, published.trace_root)
        assert (await other.jobs.find(sample) is not None) is traced
        if traced:
            await other.mine(8)
            async with other.settling(), other.sampling(tracer, StandInProver()):
                await other.until_state(sample, JobState.CONFIRMED)


async def test_what_is_in_the_older_ledger_and_not_on_chain_is_billed_after_it(
    line: Line, tmp_path: Path
) -> None:
    session_id = await line.open()
    await line.record(session_id, checkpoints=3)
    older = copied(tmp_path, tmp_path / "older")
    async with line.proving():
        await line.until_state(checkpoint_job(session_id, 0), JobState.PROVEN)
    async with line.settling():
        await line.until_state(checkpoint_job(session_id, 0), JobState.CONFIRMED)
        first = await proofs(line, session_id)
    async with restored(line, older) as other:
        async with other.running():
            for number in range(3):
                await other.until_state(checkpoint_job(session_id, number), JobState.CONFIRMED)
        found = await proofs(other, session_id)
        assert found[: len(first)] == first
        assert [tokens for tokens, *_ in found] == [TOKENS] * 3
        assert (await other.on_chain(session_id)).tokens_proven == 3 * TOKENS


async def test_another_transcript_of_tokens_that_are_billed_is_given_up(
    line: Line, tmp_path: Path
) -> None:
    session_id = await line.open()
    await line.record(session_id)
    older = copied(tmp_path, tmp_path / "older")
    async with line.portals() as portals:
        cid = str(await portals.put(b"a bundle of something else"))
    await sent(line, session_id, TOKENS, cid)
    async with restored(line, older) as other, other.running():
        job = await other.until_state(checkpoint_job(session_id, 0), JobState.FAILED)
        assert job.problem is not None
        assert job.problem.code == "PIP-007"
        assert len(await proofs(other, session_id)) == 1


async def test_what_cannot_be_compared_is_waited_for_and_not_submitted(
    line: Line, tmp_path: Path
) -> None:
    """The blobs of the lost machine's portal come back later."""
    session_id = await line.open()
    await line.record(session_id)
    older = copied(tmp_path, tmp_path / "older")
    bundle = b"a bundle that is nowhere"
    await sent(line, session_id, TOKENS, str(BlobId.of(bundle)))
    async with restored(line, older) as other, other.running():
        await other.until_problem(checkpoint_job(session_id, 0), "STO-251")
        assert len(await proofs(other, session_id)) == 1


async def test_proofs_of_other_lengths_are_never_added_to(line: Line, tmp_path: Path) -> None:
    session_id = await line.open()
    await line.record(session_id)
    older = copied(tmp_path, tmp_path / "older")
    await sent(line, session_id, TOKENS + 20, str(BlobId.of(b"longer")))
    async with restored(line, older) as other, other.running():
        await other.end(session_id)
        job = await other.until_state(checkpoint_job(session_id, 0), JobState.FAILED)
        assert job.problem is not None
        assert job.problem.code == "PIP-007"
        assert (await other.on_chain(session_id)).tokens_proven == TOKENS + 20
