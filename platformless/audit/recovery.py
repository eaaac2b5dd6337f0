"""Recovering a conversation from chain and storage alone, without the host that led it.

The chain's `ProofSubmitted` events name each checkpoint's delta and bundle. Nothing that storage
returns is believed: bytes are hashed, the delta must be signed by the session's host, the bundle's
proof is verified, and its claim must carry the digest of the delta's content. A checkpoint that
cannot be recovered does not keep the others from it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Protocol

from ..chain.connection import Chain
from ..chain.events import ProofSubmitted, SessionEvents
from ..chain.marketplace import Marketplace
from ..chain.session import ProofRecord, Session
from ..errors import PlatformlessError
from ..protocol import delta as deltas
from ..protocol.bundle import MAX_BUNDLE_BYTES
from ..protocol.delta import Delta, Message, SealedDelta, SignedDelta
from ..protocol.digests import ModelId, ProofHash
from ..protocol.transcript import Tokens
from ..storage.cids import BlobId
from .errors import (
    BundleMismatch,
    DeltaMismatch,
    DeltaNotInClaim,
    EventMismatch,
    ForeignDelta,
    KeyNeeded,
    NothingPublished,
)
from .policy import (
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
from .verify import Policy, VerificationReport, verify_bundle

MAX_DELTA_BYTES = 64 << 20
_AT_A_TIME = 8


class Downloads(Protocol):
    """Storage that verified bytes can be had from."""

    async def get(self, blob: BlobId, *, largest_bytes: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class CheckpointOnChain:
    """A checkpoint as the chain has it."""

    number: int
    tokens_before: Tokens
    tokens: Tokens
    proof_hash: ProofHash
    delta_cid: str
    proof_cid: str | None
    """Only events tell it; None when the node shows no event for this proof."""
    event: ProofSubmitted | None
    record: ProofRecord | None
    """The same in the contract's storage; None when there is none of this number."""

    @property
    def tokens_after(self) -> Tokens:
        return Tokens(self.tokens_before + self.tokens)


@dataclass(frozen=True, slots=True)
class RecoveredCheckpoint:
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
class RecoveredSession:
    """A session's conversation, as far as it could be recovered."""

    session: Session
    checkpoints: tuple[RecoveredCheckpoint, ...]
    conversation: tuple[Message, ...]

    @property
    def complete(self) -> bool:
        """Whether every checkpoint that the contract counts was recovered and is bound to an
        accepted proof."""
        found = sum(item.place.tokens for item in self.checkpoints)
        bound = all(item.delta and item.proof for item in self.checkpoints)
        return bound and found == self.session.tokens_proven

    def to_json(self) -> dict[str, Any]:
        return {
            "session": str(self.session.id),
            "host": str(self.session.host),
            "client": str(self.session.client),
            "complete": self.complete,
            "tokens_proven": self.session.tokens_proven,
            "checkpoints": [item.to_json() for item in self.checkpoints],
            "messages": [message.to_json() for message in self.conversation],
        }


async def recover_session(
    chain: Chain, downloads: Downloads, session_id: int, private_key: bytes | None = None
) -> RecoveredSession:
    """Rebuilds the conversation of a session.

    Args:
        private_key: Of the recovery key, 32 bytes; not needed for deltas in the clear.

    Raises:
        UnknownSession: when the chain has no such session.
        RpcError, EventRangeRefused: when the chain cannot be read.
    """
    marketplace = Marketplace(chain)
    session = await marketplace.session(session_id)
    events = await SessionEvents(chain).proofs(session)
    records = await marketplace.proofs(session_id)
    model_id = await marketplace.model_of(session_id)
    recovery = _Recovery(chain, downloads, session, model_id, private_key)
    found = await asyncio.gather(*map(recovery.checkpoint, _places(events, records)))
    found = _joined(found)
    usable = [item.delta for item in found if item.delta is not None]
    return RecoveredSession(session, tuple(found), deltas.merge(usable))


def _places(events: list[ProofSubmitted], records: list[ProofRecord]) -> list[CheckpointOnChain]:
    """Every proof that events or the contract's storage know: a node may hide events."""
    places, before = list[CheckpointOnChain](), Tokens(0)
    for number, (event, record) in enumerate(zip_longest(events, records)):
        known = event or record
        proof_cid = None if event is None else event.proof_cid
        places.append(
            CheckpointOnChain(
                number,
                before,
                known.tokens,
                known.proof_hash,
                known.delta_cid,
                proof_cid,
                event,
                record,
            )
        )
        before = places[-1].tokens_after
    return places


def _joined(found: list[RecoveredCheckpoint]) -> list[RecoveredCheckpoint]:
    """Withdraws proofs whose claims do not go on where the claim before ended: each alone could
    be of an invented history."""
    joined: list[RecoveredCheckpoint] = []
    for item in found:
        before = joined[-1].proof if joined else None
        if item.proof is not None and item.place.number > 0:
            try:
                if before is None:
                    raise EventMismatch(
                        f"the claim of checkpoint {item.place.number} joins nothing",
                        expected="an accepted claim before it",
                        got="none",
                    )
                Follows(before.claim).verify(item.proof.claim)
            except PlatformlessError as error:
                item = replace(item, proof=None, proof_problem=error)
        joined.append(item)
    return joined


class _Recovery:
    """The recovery of one session."""

    def __init__(
        self,
        chain: Chain,
        downloads: Downloads,
        session: Session,
        model_id: ModelId,
        private_key: bytes | None,
    ) -> None:
        self._network = chain.network
        self._model_id = model_id
        self._downloads = downloads
        self._session = session
        self._private_key = private_key
        self._slots = asyncio.Semaphore(_AT_A_TIME)

    async def checkpoint(self, place: CheckpointOnChain) -> RecoveredCheckpoint:
        """Both halves of a checkpoint, each as far as it goes."""
        delta: Delta | None = None
        proof: VerificationReport | None = None
        problem: PlatformlessError | None = None
        proof_problem: PlatformlessError | None = None
        async with self._slots:
            try:
                delta = await self._delta(place)
            except PlatformlessError as error:
                problem = error
            try:
                proof = await self._proof(place, delta)
            except PlatformlessError as error:
                proof_problem = error
        return RecoveredCheckpoint(place, delta, problem, proof, proof_problem)

    async def _delta(self, place: CheckpointOnChain) -> Delta:
        _require_same_record(place)
        data = await self._get("delta", place.delta_cid, MAX_DELTA_BYTES)
        published = await asyncio.to_thread(deltas.decode, data)
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

    async def _proof(self, place: CheckpointOnChain, delta: Delta | None) -> VerificationReport:
        if place.proof_cid is None:
            raise EventMismatch(
                f"the node shows no event of proof {place.number}",
                expected="a ProofSubmitted event",
                got="a proof in the contract's storage alone",
            )
        bundle = await self._get("bundle", place.proof_cid, MAX_BUNDLE_BYTES)
        proof_hash = ProofHash.of(bundle)
        if proof_hash != place.proof_hash:
            raise BundleMismatch(
                f"bundle {place.number} is not the one that was submitted",
                expected=place.proof_hash,
                got=proof_hash,
            )
        report = await asyncio.to_thread(verify_bundle, bundle, self._policy(place))
        if delta is not None and report.claim.delta_digest != delta.digest():
            raise DeltaNotInClaim(
                f"the claim of checkpoint {place.number} commits to another delta",
                expected=report.claim.delta_digest,
                got=delta.digest(),
            )
        return report

    def _policy(self, place: CheckpointOnChain) -> Policy:
        return Policy(
            expectations=(
                ExpectedChain(self._network.chain_id),
                ExpectedMarketplace(self._network.marketplace),
                ExpectedSession(self._session.id),
                ExpectedHost(self._session.host),
                ExpectedClient(self._session.client),
                ExpectedModel(self._model_id),
                ExpectedPrice(self._session.price.per_thousand_tokens),
                ExpectedCheckpoint(place.number),
                ExpectedTokens(place.tokens_before, place.tokens_after),
            )
        )

    async def _get(self, what: str, cid: str, largest_bytes: int) -> bytes:
        if not cid:
            raise NothingPublished(f"the chain names no {what}", expected="a CID", got="none")
        return await self._downloads.get(BlobId.parse(cid), largest_bytes=largest_bytes)

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


def _require_same_record(place: CheckpointOnChain) -> None:
    """Events come from the node's log index, records from the contract's storage. A record without
    an event still names its delta."""
    event, record = place.event, place.record
    if event is None:
        return
    told = (event.proof_hash, event.tokens, event.delta_cid)
    kept = (record.proof_hash, record.tokens, record.delta_cid) if record is not None else None
    if told != kept:
        raise EventMismatch(
            f"event and contract differ on checkpoint {place.number}", expected=kept, got=told
        )
