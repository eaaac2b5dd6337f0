"""The report of an audit: values only. `to_json` is the published format `session-audit/1`.

Amounts and ids are text, as they may pass 2^53; digests and addresses are text with `0x`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...chain.connection import Block
from ...chain.session import Session
from ...protocol.assurance import Assurance, Component
from ...protocol.digests import Address, ImageId, ModelId
from ...protocol.transcript import Tokens
from ..errors import KeyNeeded
from ..evidence import CheckpointEvidence
from ..places import CheckpointOnChain
from ..verify import VerificationReport
from .findings import Finding, Severity
from .payments import Payment
from .sample_states import CheckpointSample
from .session_policy import AuditPolicy
from .transcript_check import TranscriptCheck

if TYPE_CHECKING:
    from ..replay.report import ReplayReport
    from ..whole_session import AggregateReport

FORMAT = "session-audit/1"
_NO_TOKENS = Tokens(0)


@dataclass(frozen=True, slots=True)
class TokenTotals:
    """Completion tokens of a session, as far as each thing was shown of them."""

    claimed: Tokens
    """By the proofs on chain."""
    proven: Tokens
    """By accepted claims that join from the first token on."""
    acknowledged: Tokens
    """Signed for by the client."""
    sampled: Tokens = _NO_TOKENS
    """In contexts with an accepted proof of sampled cells."""
    spared: Tokens = _NO_TOKENS
    """In traced checkpoints that were not drawn, and in no such context."""

    @property
    def unproven(self) -> Tokens:
        return Tokens(self.claimed - self.proven)

    def to_json(self) -> dict[str, int]:
        return {
            "claimed": self.claimed,
            "proven": self.proven,
            "unproven": self.unproven,
            "acknowledged": self.acknowledged,
            "sampled": self.sampled,
            "spared": self.spared,
        }


@dataclass(frozen=True, slots=True)
class CheckpointAudit:
    """What was found of one checkpoint."""

    evidence: CheckpointEvidence
    proven: bool
    """By its own bundle, or as a part of the proof of the whole session."""
    time: int | None
    """Unix seconds of the block that its proof was submitted in; None when storage has it not."""
    sample: CheckpointSample | None = None
    """Its sampled cells; None when it is not proven, so nothing says what they are of."""

    @property
    def place(self) -> CheckpointOnChain:
        return self.evidence.place

    @property
    def delta_state(self) -> str:
        """read, sealed or missing."""
        if self.evidence.delta is not None:
            return "read"
        return "sealed" if isinstance(self.evidence.problem, KeyNeeded) else "missing"

    @property
    def awaits_sample(self) -> bool:
        """Whether a proof of its sampled cells may still be published."""
        return self.sample is not None and self.sample.state.is_open

    @property
    def sample_state(self) -> str:
        """That of its sampled cells; unknown where it is not proven."""
        return self.sample.state.value if self.sample is not None else "unknown"

    def to_json(self) -> dict[str, Any]:
        place, proof = self.place, self.evidence.proof
        event = place.event
        return {
            "checkpoint": place.number,
            "tokens": [place.tokens_before, place.tokens_after],
            "proof_hash": str(place.proof_hash),
            "proof_cid": place.proof_cid,
            "delta_cid": place.delta_cid,
            "block": event.place.block_number if event else None,
            "transaction": event.place.transaction_hash if event else None,
            "time": self.time,
            "proven": self.proven,
            "delta": self.delta_state,
            "acknowledged": proof is not None and proof.acknowledged_by is not None,
            "bundle": _bundle(proof),
            "state_after": str(proof.claim.state_after) if proof else None,
            "sample": self.sample.to_json() if self.sample else None,
        }


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit shows of a session, and what it does not."""

    chain_id: int
    marketplace: Address
    session: Session
    model_id: ModelId
    read_at: Block
    checkpoints: tuple[CheckpointAudit, ...]
    whole_session: AggregateReport | None
    """The proof of all checkpoints in one, where one was given and accepted."""
    payment: Payment
    transcript: TranscriptCheck | None
    replay: ReplayReport | None
    tokens: TokenTotals
    assurance: Assurance | None
    """None when nothing was proven."""
    coverage: tuple[Component, ...]
    findings: tuple[Finding, ...]
    """Errors first."""
    policy: AuditPolicy
    images: dict[str, ImageId] = field(default_factory=dict)
    """The guests that were trusted."""
    made_at: int = 0
    """Unix seconds."""
    seconds: float = 0.0
    """What the audit took."""

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the session under the policy."""
        return not self.errors

    @property
    def errors(self) -> Sequence[Finding]:
        return [one for one in self.findings if one.severity is Severity.ERROR]

    @property
    def outcome(self) -> str:
        return "accepted" if self.accepted else "rejected"

    def to_json(self) -> dict[str, Any]:
        session = self.session
        return {
            "format": FORMAT,
            "outcome": self.outcome,
            "assurance": self.assurance.value if self.assurance else None,
            "coverage": [
                {"component": one.name, "coverage": one.coverage.value, "meaning": one.meaning}
                for one in self.coverage
            ],
            "session": {
                "id": str(session.id),
                "chain_id": self.chain_id,
                "marketplace": str(self.marketplace),
                "host": str(session.host),
                "client": str(session.client),
                "model_id": str(self.model_id),
                "status": session.status.name.lower(),
                "started": session.started_at,
                "last_proof": session.last_proof_at,
            },
            "read_at": {
                "block": self.read_at.number,
                "hash": self.read_at.hash,
                "time": self.read_at.timestamp,
            },
            "tokens": self.tokens.to_json(),
            "payment": self.payment.to_json(),
            "checkpoints": [one.to_json() for one in self.checkpoints],
            "whole_session": _whole(self.whole_session),
            "transcript": self.transcript.to_json() if self.transcript else None,
            "replay": self.replay.to_json() if self.replay else None,
            "findings": [one.to_json() for one in self.findings],
            "policy": self.policy.to_json(),
            "trusted_images": {name: str(image) for name, image in self.images.items()},
            "made_at": self.made_at,
            "seconds": round(self.seconds, 3),
        }


def _bundle(proof: VerificationReport | None) -> dict[str, Any] | None:
    if proof is None:
        return None
    return {
        "bytes": proof.bundle_bytes,
        "receipt_kind": proof.receipt_kind,
        "image_id": str(proof.image_id),
        "zkvm": proof.zkvm,
    }


def _whole(report: AggregateReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "proof_hash": str(report.proof_hash),
        "bytes": report.bundle_bytes,
        "receipt_kind": report.receipt_kind,
        "image_id": str(report.image_id),
        "zkvm": report.zkvm,
    }
