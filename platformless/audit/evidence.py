"""A checkpoint's evidence: its delta and its bundle, fetched from storage and checked.

The chain's `ProofSubmitted` events name each checkpoint's delta and bundle. Nothing that storage
returns is believed: bytes are hashed, the delta must be signed by the session's host, the bundle's
proof is verified, and its claim must carry the digest of the delta's content. Evidence that fails
for one checkpoint does not keep the others from it.

Downloads run beside one another, as many as the memory for them allows; proofs are verified in
threads, in a sandbox that holds no lock of Python's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar

from ..chain.networks import Network
from ..chain.session import Session
from ..errors import PlatformlessError
from ..protocol import delta as deltas
from ..protocol.delta import Delta, SealedDelta, SignedDelta
from ..protocol.digests import ImageId, ModelId, ProofHash
from ..storage.cids import BlobId
from ..storage.errors import BlobTooLarge
from .errors import (
    BundleMismatch,
    DeltaMismatch,
    DeltaNotInClaim,
    EventMismatch,
    ForeignDelta,
    JoinsNothing,
    KeyNeeded,
    NothingPublished,
    VerifierError,
)
from .places import CheckpointOnChain, require_same_record
from .policy import (
    CHECKED_IF_PRESENT,
    RECEIPT_KINDS,
    Acknowledgement,
    ClaimPolicy,
    ExpectedChain,
    ExpectedCheckpoint,
    ExpectedClient,
    ExpectedHost,
    ExpectedMarketplace,
    ExpectedModel,
    ExpectedPrice,
    ExpectedSession,
    ExpectedTokens,
    Follows,
)
from .release import trusted_images
from .room import Room
from .verify import Policy, VerificationReport, verify_bundle

_Checked = TypeVar("_Checked")
OnDone = Callable[[int, int], None]
"""Called with how many checkpoints are done, and how many there are."""


class Downloads(Protocol):
    """Storage that verified bytes can be had from."""

    async def get(self, blob: BlobId, *, largest_bytes: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """What fetching and checking may take. An honest checkpoint's bundle is 0.2 to 3 MB."""

    largest_bundle_bytes: int = 16 << 20
    largest_delta_bytes: int = 16 << 20
    deltas_bytes: int = 64 << 20
    """Of a session's deltas together, which are held to the end; as texts they may take four times
    as much. An honest checkpoint's is some kilobytes."""
    bytes_at_once: int = 64 << 20
    """Of all files that are held at a time. One larger file is held alone."""
    downloads_at_once: int = 16
    verifications_at_once: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class CheckpointEvidence:
    """What was found of one checkpoint."""

    place: CheckpointOnChain
    delta: Delta | None
    """Given only when the host's signature and its place in the session were verified."""
    problem: PlatformlessError | None
    """Why there is no delta."""
    proof: VerificationReport | None
    """The accepted proof. Where there is a delta, its claim carries the delta's digest; it joins
    the claim of the checkpoint before."""
    proof_problem: PlatformlessError | None
    """Why the delta is not bound to a proof."""

    def to_json(self) -> dict[str, Any]:
        place = self.place
        return {
            "checkpoint": place.number,
            "tokens": [place.tokens_before, place.tokens_after],
            "proof_hash": str(place.proof_hash),
            "proof_cid": place.proof_cid,
            "delta_cid": place.delta_cid,
            "recovered": self.delta is not None,
            "proven": self.proof is not None,
            "problem": self.problem.to_json() if self.problem else None,
            "proof_problem": self.proof_problem.to_json() if self.proof_problem else None,
        }


@dataclass(frozen=True, slots=True)
class Trust:
    """What a bundle must be to count."""

    images: Mapping[str, ImageId] = field(default_factory=trusted_images)
    receipt_kinds: tuple[str, ...] = RECEIPT_KINDS
    acknowledgement: Acknowledgement = CHECKED_IF_PRESENT

    def policy(self, expectations: tuple[ClaimPolicy, ...]) -> Policy:
        return Policy(self.receipt_kinds, self.images, expectations, self.acknowledgement)


class Gathering:
    """Fetches and checks the evidence of one session."""

    def __init__(
        self,
        network: Network,
        downloads: Downloads,
        session: Session,
        model_id: ModelId,
        *,
        private_key: bytes | None = None,
        trust: Trust | None = None,
        limits: EvidenceLimits | None = None,
    ) -> None:
        self._network = network
        self._model_id = model_id
        self._downloads = downloads
        self._session = session
        self._private_key = private_key
        self._trust = trust or Trust()
        self._limits = limits or EvidenceLimits()
        self._slots = asyncio.Semaphore(self._limits.downloads_at_once)
        self._checks = asyncio.Semaphore(self._limits.verifications_at_once)
        self._room = Room(self._limits.bytes_at_once)
        self._delta_bytes = 0

    async def gather(
        self,
        found: Sequence[CheckpointOnChain],
        *,
        with_proofs: bool = True,
        on_done: OnDone | None = None,
    ) -> list[CheckpointEvidence]:
        """The evidence of every checkpoint, joined from the first to the last.

        Args:
            with_proofs: Whether bundles are looked at; a proof of the whole session takes their
                place.
        """
        done = 0

        async def one(place: CheckpointOnChain) -> CheckpointEvidence:
            nonlocal done
            async with self._slots:
                evidence = await self._checkpoint(place, with_proofs)
            done += 1
            if on_done is not None:
                on_done(done, len(found))
            return evidence

        evidence = await asyncio.gather(*map(one, found))
        return joined(evidence) if with_proofs else evidence

    def expectations(self) -> tuple[ClaimPolicy, ...]:
        """What the chain says of every claim of the session."""
        return (
            ExpectedChain(self._network.chain_id),
            ExpectedMarketplace(self._network.marketplace),
            ExpectedSession(self._session.id),
            ExpectedHost(self._session.host),
            ExpectedClient(self._session.client),
            ExpectedModel(self._model_id),
            ExpectedPrice(self._session.price.per_thousand_tokens),
        )

    async def _checkpoint(self, place: CheckpointOnChain, with_proof: bool) -> CheckpointEvidence:
        """Both halves of a checkpoint, each as far as it goes."""
        delta: Delta | None = None
        proof: VerificationReport | None = None
        problem: PlatformlessError | None = None
        proof_problem: PlatformlessError | None = None
        try:
            delta = await self._delta(place)
        except PlatformlessError as error:
            problem = error
        if with_proof:
            try:
                proof = await self._proof(place, delta)
            except VerifierError:
                raise
            except PlatformlessError as error:
                proof_problem = error
        return CheckpointEvidence(place, delta, problem, proof, proof_problem)

    async def _delta(self, place: CheckpointOnChain) -> Delta:
        require_same_record(place)
        blob = _blob("delta", place.delta_cid)
        self._delta_bytes += blob.size
        if self._delta_bytes > self._limits.deltas_bytes:
            raise BlobTooLarge(
                f"delta {place.number} and those before it are too large together",
                expected=f"at most {self._limits.deltas_bytes} bytes",
                got=f"{self._delta_bytes} bytes",
            )
        return await self._fetched(
            blob, self._limits.largest_delta_bytes, partial(self._read_delta, place)
        )

    def _read_delta(self, place: CheckpointOnChain, data: bytes) -> Delta:
        published = deltas.decode(data)
        self._require_host("the delta", published)
        if isinstance(published, SealedDelta):
            if self._private_key is None:
                raise KeyNeeded(
                    f"delta {place.number} is sealed", expected=f"key of {published.recovery_key}"
                )
            published = published.open(self._private_key)
            self._require_host("the sealed messages", published)
        self._require_place(place, published.delta)
        return published.delta

    async def bundle(self, place: CheckpointOnChain) -> bytes:
        """The bundle that was submitted; its proof is not verified.

        Raises:
            EventMismatch, NothingPublished, BundleMismatch, StorageError.
        """
        data = await self._downloads.get(
            _bundle_blob(place), largest_bytes=self._limits.largest_bundle_bytes
        )
        return _submitted(place, data)

    async def named_bundle(
        self, what: str, cid: str, proof_hash: ProofHash, check: Callable[[bytes], _Checked]
    ) -> _Checked:
        """What `check` makes, in a thread, of a bundle that the host names elsewhere than on chain.

        Raises:
            NothingPublished, BundleMismatch, StorageError; and what `check` raises.
        """

        def checked(data: bytes) -> _Checked:
            _require_hash(what, proof_hash, data)
            return check(data)

        async with self._slots:
            return await self._fetched(_blob(what, cid), self._limits.largest_bundle_bytes, checked)

    async def given_bundle(self, data: bytes, check: Callable[[bytes], _Checked]) -> _Checked:
        """As `named_bundle`, of bytes that are at hand."""
        async with self._checks:
            return await asyncio.to_thread(check, data)

    async def _proof(self, place: CheckpointOnChain, delta: Delta | None) -> VerificationReport:
        def checked(data: bytes) -> VerificationReport:
            return verify_bundle(_submitted(place, data), self._policy(place))

        report = await self._fetched(
            _bundle_blob(place), self._limits.largest_bundle_bytes, checked
        )
        if delta is not None:
            require_delta_digest(place.number, report.claim.delta_digest, delta)
        return report

    async def _fetched(
        self, blob: BlobId, largest_bytes: int, use: Callable[[bytes], _Checked]
    ) -> _Checked:
        """What `use` makes of a file, in a thread, while there is room for the file."""
        async with self._room.for_bytes(blob.size, largest_bytes):
            data = await self._downloads.get(blob, largest_bytes=largest_bytes)
            async with self._checks:
                return await asyncio.to_thread(use, data)

    def _policy(self, place: CheckpointOnChain) -> Policy:
        return self._trust.policy(
            (
                *self.expectations(),
                ExpectedCheckpoint(place.number),
                ExpectedTokens(place.tokens_before, place.tokens_after),
            )
        )

    def _require_host(self, what: str, signed: SignedDelta | SealedDelta) -> None:
        made_by = signed.signer()
        if made_by != self._session.host:
            raise ForeignDelta(
                f"{what} is not signed by the session's host",
                expected=self._session.host,
                got=made_by,
            )

    def _require_place(self, place: CheckpointOnChain, delta: Delta) -> None:
        expected = {
            "session": self._session.id,
            "checkpoint": place.number,
            "tokens before": place.tokens_before,
            "tokens after": place.tokens_after,
            "proof hash": place.proof_hash,
        }
        got = {
            "session": delta.session_id,
            "checkpoint": delta.checkpoint,
            "tokens before": delta.tokens_before,
            "tokens after": delta.tokens_after,
            "proof hash": delta.proof_hash,
        }
        for name, value in expected.items():
            if got[name] != value:
                raise DeltaMismatch(
                    f"delta {place.number} has another {name}", expected=value, got=got[name]
                )


def require_delta_digest(number: int, claimed: object, delta: Delta) -> None:
    """Raises:
    DeltaNotInClaim: when the proven claim commits to another content.
    """
    if claimed != delta.digest():
        raise DeltaNotInClaim(
            f"the claim of checkpoint {number} commits to another delta",
            expected=claimed,
            got=delta.digest(),
        )


def joined(found: Sequence[CheckpointEvidence]) -> list[CheckpointEvidence]:
    """Withdraws proofs whose claims do not go on where the claim before ended: each alone could
    be of an invented history."""
    result: list[CheckpointEvidence] = []
    for item in found:
        before = result[-1].proof if result else None
        if item.proof is not None and item.place.number > 0:
            try:
                if before is None:
                    raise JoinsNothing(
                        f"the claim of checkpoint {item.place.number} joins nothing",
                        expected="an accepted claim before it",
                        got="none",
                    )
                Follows(before.claim).verify(item.proof.claim)
            except PlatformlessError as error:
                item = replace(item, proof=None, proof_problem=error)
        result.append(item)
    return result


def _submitted(place: CheckpointOnChain, data: bytes) -> bytes:
    """The bytes, if they are the bundle whose hash is on chain."""
    _require_hash(f"bundle {place.number}", place.proof_hash, data)
    return data


def _require_hash(what: str, expected: ProofHash, data: bytes) -> None:
    got = ProofHash.of(data)
    if got != expected:
        raise BundleMismatch(f"{what} is not the one that was named", expected=expected, got=got)


def _bundle_blob(place: CheckpointOnChain) -> BlobId:
    if place.proof_cid is None:
        raise EventMismatch(
            f"the node shows no event of proof {place.number}",
            expected="a ProofSubmitted event",
            got="a proof in the contract's storage alone",
        )
    return _blob("bundle", place.proof_cid)


def _blob(what: str, cid: str) -> BlobId:
    if not cid:
        raise NothingPublished(f"no {what} was named", expected="a CID", got="none")
    return BlobId.parse(cid)
