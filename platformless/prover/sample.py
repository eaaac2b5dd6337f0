"""From a traced context to a verified proof of sampled cells."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ..audit.release import trusted_images
from ..audit.sandbox import ReceiptKinds, Usage, released_verifier
from ..engine.model import Model
from ..engine.trace.facts import model_facts
from ..engine.trace.tracing import open_cells
from ..engine.weights_opening import WeightsTree
from ..protocol.arithmetic.operations import Reference
from ..protocol.digests import ImageId, TraceRoot
from ..protocol.sample.claim import CLAIM_KIND, SampleClaim
from ..protocol.sample.plan import SamplePlan
from ..protocol.sample.context import Context
from ..protocol.sample.witness import Sampling, sample_witness
from ..protocol.trace.challenge import Beacon
from ..protocol.trace.settings import TraceSettings
from .errors import WrongClaim
from .messages import Execution, OnProgress, Proof
from .process import DEFAULT_MEMORY_BYTES, StarkProver


@dataclass(frozen=True, slots=True)
class SampleProof:
    """A proof of sampled cells that was made and verified."""

    claim: SampleClaim
    image_id: ImageId
    proof: Proof
    usage: Usage
    """Of the verification."""


def sampling_of(
    model: Model,
    context: Context,
    root: TraceRoot,
    settings: TraceSettings,
    beacon_number: int,
    beacon: Beacon,
    plan: SamplePlan,
) -> Sampling:
    """What a beacon asks of a trace that was committed to.

    Raises:
        ModelNotTraceable, NotGguf, FactsInvalid: for a model without reference arithmetic.
    """
    return Sampling(
        context=context,
        facts=model_facts(model.header),
        trace_root=root,
        settings=settings,
        reference=Reference.AVX512 if settings.product_lanes == 16 else Reference.AVX2,
        beacon_number=beacon_number,
        beacon=beacon,
        plan=plan,
    )


def make_witness(model: Model, tree: WeightsTree, sampling: Sampling) -> bytes:
    """Runs the context again and opens what the cells need.

    Raises:
        TraceNotRepeated: when the run has another trace root, and as `open_cells`.
    """
    openings = open_cells(
        model,
        sampling.context.tokens,
        sampling.settings,
        sampling.runs(),
        sampling.trace_root,
    )
    return sample_witness(sampling, openings, tree.open(sampling.weight_rows()))


async def execute_sample(
    prover: StarkProver, sampling: Sampling, witness: bytes, *, program_path: Path | None = None
) -> Execution:
    """Runs the guest without proving.

    Raises:
        ProverRefused: when the guest refuses the witness (STP-011; GST-201 and on).
        WrongClaim: when it publishes another claim than the sampling's.
    """
    execution = await prover.execute(witness, image=CLAIM_KIND, program_path=program_path)
    _require_claim(sampling.claim(), execution)
    return execution


async def prove_sample(
    prover: StarkProver,
    sampling: Sampling,
    witness: bytes,
    *,
    program_path: Path | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    deadline_seconds: float = 3600,
    on_progress: OnProgress | None = None,
) -> SampleProof:
    """Proves the cells and verifies the receipt as a stranger would.

    Args:
        program_path: the released guest, for a binary that does not carry it.

    Raises:
        ProverError: when no proof could be made.
        Rejection: when the receipt is not a proof of the released guest.
    """
    proof = await prover.prove(
        witness,
        image=CLAIM_KIND,
        program_path=program_path,
        memory_bytes=memory_bytes,
        deadline_seconds=deadline_seconds,
        on_progress=on_progress,
    )
    claim = sampling.claim()
    _require_claim(claim, proof)
    usage = await asyncio.to_thread(verify_sample_receipt, proof.receipt, claim.encode())
    return SampleProof(claim, trusted_images()[CLAIM_KIND], proof, usage)


def verify_sample_receipt(receipt: bytes, journal: bytes) -> Usage:
    """Accepts a receipt of the released guest `sample` for that journal.

    Raises:
        Rejection: for any other.
    """
    kinds = ReceiptKinds.COMPOSITE | ReceiptKinds.SUCCINCT
    return released_verifier().verify(receipt, journal, trusted_images()[CLAIM_KIND], kinds)


def _require_claim(claim: SampleClaim, execution: Execution) -> None:
    expected = claim.encode().hex()
    if execution.journal != expected:
        raise WrongClaim(
            "the guest published another claim", expected=expected, got=execution.journal
        )
