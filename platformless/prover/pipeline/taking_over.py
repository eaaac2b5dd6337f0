"""Proofs that the chain has and the ledger does not know of: it was restored from an older copy.

A checkpoint whose tokens the chain counts already is never submitted again. When the proof that is
there is of exactly this checkpoint, its bytes and its delta are taken over from storage, as if this
machine had published them. Otherwise another transcript was billed, and the job is given up.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from ...audit.evidence import Downloads
from ...chain.connection import Chain
from ...chain.events import ProofSubmitted
from ...protocol.bundle import MAX_BUNDLE_BYTES, Bundle
from ...protocol.claim import SessionClaim
from ...protocol.digests import ProofHash
from ...protocol.errors import ProtocolError
from ...storage.cids import BlobId
from ...storage.errors import CidError
from ...storage.publication import CheckpointPublisher, Preparation
from ..ledger.job_values import Job
from ..ledger.ledger import Ledger
from .errors import LedgerBehindChain
from .proofs_on_chain import ProofsOnChain

log = logging.getLogger(__name__)
_LARGEST_DELTA_BYTES = 64 << 20


class TakingOver:
    """Prepares what the chain names for a checkpoint, so that publishing it publishes the same.

    Args:
        downloads: The storage that it was published to.
    """

    def __init__(
        self, ledger: Ledger, chain: Chain, publisher: CheckpointPublisher, downloads: Downloads
    ) -> None:
        self._ledger = ledger
        self._proofs = ProofsOnChain(ledger, chain)
        self._publisher = publisher
        self._downloads = downloads

    async def prepare(self, job: Job) -> None:
        """Does nothing when the chain has no proof of the checkpoint, or the one that is prepared.

        Raises:
            LedgerBehindChain: when the chain's proof is of something else.
            StorageError: when what it names cannot be had.
        """
        event = await self._proofs.at(job)
        if event is None:
            return
        known = self._publisher.prepared(job.session_id, job.number)
        if known is not None and ProofHash.of(known) == event.proof_hash:
            return
        bundle = await self._published(event.proof_cid, MAX_BUNDLE_BYTES)
        delta = await self._published(event.delta_cid, _LARGEST_DELTA_BYTES)
        await self._require_same(job, event, bundle)
        cut = await self._ledger.checkpoint(job.session_id, job.number)
        binding = await self._ledger.binding(job.session_id)
        await self._publisher.take_over(
            Preparation(
                delta=cut.delta.with_proof(event.proof_hash),
                recovery_key=binding.recovery_key if binding is not None else None,
                bundle=bundle,
                published_delta=delta,
            )
        )
        log.warning("job %s: its proof is on chain already, and is taken over", job.id)

    async def _published(self, cid: str, largest_bytes: int) -> bytes:
        try:
            blob = BlobId.parse(cid)
        except CidError as error:
            raise LedgerBehindChain(
                "the chain names something that no node publishes", expected="a CID", got=cid
            ) from error
        return await self._downloads.get(blob, largest_bytes=largest_bytes)

    async def _require_same(self, job: Job, event: ProofSubmitted, bundle: bytes) -> None:
        """Raises:
        LedgerBehindChain: when the bundle is not of the claim that the ledger gives.
        """
        window = await self._ledger.window(job.session_id, job.number)
        expected, found = window.claim(), None
        if ProofHash.of(bundle) == event.proof_hash:
            with contextlib.suppress(ProtocolError):
                found = SessionClaim.decode(Bundle.decode(bundle).journal)
                # Whether it was traced depends on who proved it.
                expected = replace(expected, trace_root=found.trace_root)
        if found != expected:
            raise LedgerBehindChain(
                f"the chain has a proof of another transcript of session {job.session_id}",
                expected=f"checkpoint {job.number} as it is in the ledger",
                got=event.proof_hash,
            )
