"""What became of all that was billed: ledger, chain and portal compared with each other."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from platformless.audit.evidence import Downloads
from platformless.audit.recovery import RecoveredSession, recover_session
from platformless.chain.contract import event_topic
from platformless.chain.events import SessionEvents
from platformless.chain.marketplace import Marketplace
from platformless.chain.session import SessionStatus
from platformless.protocol.bundle import MAX_BUNDLE_BYTES, Bundle
from platformless.protocol.claim import SessionClaim
from platformless.protocol.digests import ProofHash
from platformless.prover.ledger.job_states import JobKind, JobState
from platformless.prover.ledger.job_values import Job
from platformless.prover.ledger.jobs import Jobs
from platformless.prover.ledger.ledger import Ledger
from platformless.storage.cids import BlobId
from tests.chain.world import World

from .machine import Machine
from .users import Talk

_PATIENT_SECONDS = 120.0
"""In which some job must come to a state that it was never in."""
_LOOK_SECONDS = 0.2


async def until_settled(jobs: Jobs, session_ids: Collection[int], machine: Machine) -> None:
    """Every job of the sessions is confirmed, the settlement also; none has failed."""
    found: list[Job] = []
    seen: set[tuple[str, JobState]] = set()
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(_PATIENT_SECONDS) as limit:
            while True:
                machine.require_running()
                found = await jobs.of_sessions(session_ids)
                states = {(job.id, job.state) for job in found}
                if not states <= seen:
                    seen |= states
                    limit.reschedule(now() + _PATIENT_SECONDS)
                failed = [_said(job) for job in found if job.state is JobState.FAILED]
                assert not failed, failed
                settled = {job.session_id for job in found if job.kind is JobKind.SETTLEMENT}
                if settled == set(session_ids) and all(
                    job.state is JobState.CONFIRMED for job in found
                ):
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        unfinished = [_said(job) for job in found if job.state is not JobState.CONFIRMED]
        lacking = sorted(
            set(session_ids) - {job.session_id for job in found if job.kind is JobKind.SETTLEMENT}
        )
        raise AssertionError(f"not done: {unfinished}, not ended: {lacking}") from None


@dataclass
class Outcome:
    """Of all sessions. Each method raises `AssertionError` for what is not as it must be."""

    world: World
    ledger: Ledger
    portal: Downloads
    checkpoints: int = 0
    """That were found to be proven once."""

    async def require_billed_once(self, talk: Talk) -> RecoveredSession:
        """Each checkpoint that was cut is in exactly one proof on chain, in the order of the
        tokens, with the hash that the ledger has; and its delta is what it says.

        Returns:
            What storage and chain alone say of the session.
        """
        kept = await self.ledger.session(talk.session_id)
        assert kept is not None
        assert kept.ended
        jobs = await self.ledger.jobs.of_sessions([talk.session_id])
        proofs = [job for job in jobs if job.kind is JobKind.CHECKPOINT]
        assert [job.number for job in proofs] == [one.number for one in kept.checkpoints]
        ranges = [(one.tokens_before, one.tokens_after) for one in kept.checkpoints]
        assert [after for _, after in ranges[:-1]] == [before for before, _ in ranges[1:]]
        claimed = ranges[-1][1] if ranges else 0
        assert not ranges or ranges[0][0] == 0
        marketplace = Marketplace(self.world.chain)
        session = await marketplace.session(talk.session_id)
        assert session.status is SessionStatus.COMPLETED
        assert session.tokens_proven == claimed
        events = await SessionEvents(self.world.chain).proofs(session)
        assert len(events) == len(ranges)
        for job, (before, after), event in zip(proofs, ranges, events, strict=True):
            artefact = await self.ledger.jobs.artefact(job.id)
            sent = await self.ledger.jobs.submission(job.id)
            assert artefact is not None
            assert event.tokens == job.tokens == after - before
            assert event.proof_hash == artefact.proof_hash
            assert (event.proof_cid, event.delta_cid) == (sent.proof_cid, sent.delta_cid)
            assert event.place.transaction_hash == sent.transaction_hash
            claim = await self._claim(event.proof_cid, event.proof_hash)
            assert (claim.checkpoint, claim.tokens_before, claim.tokens_after) == (
                job.number,
                before,
                after,
            )
        billed = sum(one.entry.billed for one in kept.entries)
        assert billed >= talk.tokens
        rules = await marketplace.rules()
        assert billed - claimed < (rules.minimum_claim if claimed else session.proof_interval)
        recovered = await recover_session(self.world.chain, self.portal, talk.session_id, talk.key)
        problems = [one.problem for one in recovered.checkpoints if one.problem is not None]
        assert not problems
        assert len(recovered.checkpoints) == len(ranges)
        self.checkpoints += len(ranges)
        return recovered

    async def require_no_other_proofs(self) -> None:
        """The chain has as many proofs as were found to be proven once."""
        head = await self.world.chain.head()
        topic = "0x" + event_topic("JobMarketplace", "ProofSubmitted").hex()
        logs = await self.world.chain.logs(self.world.network.marketplace, [topic], 0, head.number)
        assert len(logs) == self.checkpoints

    async def _claim(self, cid: str, proof_hash: ProofHash) -> SessionClaim:
        """Of the bundle that is in storage."""
        data = await self.portal.get(BlobId.parse(cid), largest_bytes=MAX_BUNDLE_BYTES)
        assert ProofHash.of(data) == proof_hash
        return SessionClaim.decode(Bundle.decode(data).journal)


def _said(job: Job) -> str:
    problem = f" {job.problem.code} {job.problem.message}" if job.problem else ""
    return f"{job.id} {job.state.value}{problem}"


def left_over(folder: Path) -> list[str]:
    """What a node that has ended left and nothing will ever read: what was being written when a
    process died, and what a database keeps while it is open."""
    found = [path.relative_to(folder) for path in folder.rglob("*")]
    sockets = [path for path in found if (folder / path).is_socket()]
    return sorted(map(str, [*filter(_is_temporary, found), *sockets]))


def _is_temporary(path: Path) -> bool:
    return (
        any(part.startswith((".", "temp-")) for part in path.parts)
        or path.name.endswith((".part", ".tmp", "-wal", "-shm", "-journal"))
        or path.parent.name == "scratch"
    )
