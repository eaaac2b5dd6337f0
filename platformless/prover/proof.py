"""From a checkpoint window to a verified bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..audit.policy import CHECKED_IF_PRESENT, Claim
from ..audit.release import trusted_images
from ..audit.verify import CLAIM_KIND, ZKVM, VerificationReport, verify_bundle
from ..protocol.acknowledgement import AcknowledgementSignature
from ..protocol.assurance import Assurance
from ..protocol.bundle import Bundle
from ..protocol.claim import SessionClaim
from ..protocol.sample.claim import SampleClaim
from ..protocol.window import Window
from .errors import ForeignImage, WrongClaim
from .messages import Execution, OnProgress, Proof, ProverInfo
from .process import DEFAULT_MEMORY_BYTES, StarkProver
from .throughput import Throughput, expected_throughput, remember_throughput


@dataclass(frozen=True, slots=True)
class EstimateReport:
    """What a proof of a window would take."""

    claim: SessionClaim
    execution: Execution
    device: str
    throughput: Throughput | None

    @property
    def seconds(self) -> float | None:
        """Expected time to prove; None when nothing is known about this device."""
        if self.throughput is None:
            return None
        return self.throughput.seconds(self.execution.total_cycles)

    def to_json(self) -> dict[str, Any]:
        execution = self.execution
        return {
            "tokens": self.claim.tokens,
            "user_cycles": execution.user_cycles,
            "paging_cycles": execution.paging_cycles,
            "reserved_cycles": execution.reserved_cycles,
            "total_cycles": execution.total_cycles,
            "segment_po2": execution.segment_po2,
            "memory_bytes": execution.memory_bytes,
            "device": self.device,
            "seconds": self.seconds,
            "seconds_source": self.throughput.source if self.throughput else None,
        }


@dataclass(frozen=True, slots=True)
class MadeProof:
    """A proof that was made, whatever its claim says."""

    bundle: Bundle
    data: bytes
    """The bundle's bytes, what is published."""
    proof: Proof
    device: str
    requested_receipt_kind: str

    def with_verification(self, verification: dict[str, Any]) -> dict[str, Any]:
        """What was made and what it took, as JSON values, with the report of its verification."""
        proof = self.proof
        return {
            "proof_hash": verification["proof_hash"],
            "bundle_bytes": len(self.data),
            "requested_receipt_kind": self.requested_receipt_kind,
            "device": self.device,
            "prove_seconds": proof.prove_seconds,
            "peak_memory_bytes": proof.peak_memory_bytes,
            "user_cycles": proof.user_cycles,
            "paging_cycles": proof.paging_cycles,
            "total_cycles": proof.total_cycles,
            "segment_po2": proof.segment_po2,
            "verification": verification,
        }


@dataclass(frozen=True, slots=True)
class ProofReport(MadeProof):
    """A proof of one checkpoint that was made and verified."""

    verification: VerificationReport

    def to_json(self) -> dict[str, Any]:
        return self.with_verification(self.verification.to_json())


async def estimate_window(
    prover: StarkProver, window: Window, *, memory_bytes: int = DEFAULT_MEMORY_BYTES
) -> EstimateReport:
    """Runs the guest on `window` without proving.

    Raises:
        ProverError: when it cannot run, or publishes another claim.
    """
    info = await prover.info()
    require_trusted_guest(info)
    execution = await prover.execute(window.witness(), memory_bytes=memory_bytes)
    claim = window.claim()
    require_claim(claim, execution)
    return EstimateReport(claim, execution, info.device, expected_throughput(info.device))


async def prove_window(
    prover: StarkProver,
    window: Window,
    *,
    acknowledgement: AcknowledgementSignature | None = None,
    receipt_kind: str = "composite",
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    deadline_seconds: float = 3600,
    on_progress: OnProgress | None = None,
) -> ProofReport:
    """Proves `window` and verifies the bundle as a stranger would.

    `receipt_kind` is what is wanted: `succinct` falls back to `composite` in a binary that cannot
    make it, which the report shows.

    Raises:
        ProverError: when no proof could be made.
        Rejection: when the acknowledgement is not the client's, before any work.
    """
    claim = window.claim()
    CHECKED_IF_PRESENT.verify(claim, acknowledgement)
    info = await prover.info()
    require_trusted_guest(info)
    possible = receipt_kind if info.succinct else "composite"
    proof = await prover.prove(
        window.witness(),
        memory_bytes=memory_bytes,
        receipt=possible,
        deadline_seconds=deadline_seconds,
        on_progress=on_progress,
    )
    require_claim(claim, proof)
    remember_throughput(info.device, proof.total_cycles, proof.prove_seconds)
    bundle = bundle_of(proof, acknowledgement)
    data = bundle.encode()
    return ProofReport(bundle, data, proof, info.device, receipt_kind, verify_bundle(data))


def bundle_of(
    proof: Proof,
    acknowledgement: AcknowledgementSignature | None,
    claim_kind: str = CLAIM_KIND,
    assurance: Assurance = Assurance.ACCOUNTING,
) -> Bundle:
    """The bundle that publishes `proof`."""
    return Bundle(
        claim_kind=claim_kind,
        assurance=assurance.value,
        image_id=bytes.fromhex(proof.image_id),
        zkvm=ZKVM,
        verifier_parameters=bytes.fromhex(proof.verifier_parameters),
        receipt_kind=proof.receipt_kind,
        journal=bytes.fromhex(proof.journal),
        receipt=proof.receipt,
        acknowledgement=acknowledgement.value if acknowledgement else None,
    )


def require_trusted_guest(info: ProverInfo, guest: str = CLAIM_KIND) -> None:
    """Raises ForeignImage when the binary's guest of that name is not the release's."""
    trusted = trusted_images()[guest]
    built_in = info.images.get(guest, "none")
    if built_in != trusted.value.hex():
        raise ForeignImage(
            f"stark-prover carries another {guest} guest than this release trusts",
            expected=trusted,
            got=built_in,
        )


def require_claim(claim: Claim | SampleClaim, execution: Execution) -> None:
    """Raises WrongClaim when the guest published anything else."""
    if execution.journal != claim.encode().hex():
        raise WrongClaim(
            "the guest published another claim",
            expected=claim.encode().hex(),
            got=execution.journal,
        )
