"""From a traced context to a verified proof of sampled cells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..audit.release import trusted_images
from ..audit.sandbox import ReceiptKinds, Usage, released_verifier
from ..engine.model import Model
from ..engine.trace.facts import model_facts
from ..engine.trace.tracing import Watch, open_cells
from ..engine.weights_opening import WeightsTree
from ..protocol.arithmetic.operations import Reference
from ..protocol.assurance import Assurance
from ..protocol.digests import TraceRoot
from ..protocol.sample.claim import CLAIM_KIND, SampleClaim
from ..protocol.sample.context import Context
from ..protocol.sample.plan import COVERED_KINDS, SamplePlan
from ..protocol.sample.witness import Sampling, sample_witness
from ..protocol.trace.cells import Span
from ..protocol.trace.challenge import Beacon
from ..protocol.trace.settings import TraceSettings
from .messages import Execution, OnProgress
from .process import DEFAULT_MEMORY_BYTES, StarkProver
from .proof import MadeProof, bundle_of, require_claim, require_trusted_guest
from .throughput import remember_throughput

PlanOf = Callable[[int], SamplePlan]
"""Which cells are drawn of a trace of so many positions."""


@dataclass(frozen=True, slots=True)
class SampleProof(MadeProof):
    """A proof of sampled cells that was made and verified."""

    claim: SampleClaim
    usage: Usage
    """Of the verification."""


def even_plan(draws: int) -> PlanOf:
    """As many cells of every kind, from all positions."""

    def plan(positions: int) -> SamplePlan:
        return SamplePlan.of(dict.fromkeys(COVERED_KINDS, draws), Span(0, positions))

    return plan


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


def make_witness(
    model: Model, tree: WeightsTree, sampling: Sampling, watch: Watch | None = None
) -> bytes:
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
        watch,
    )
    return sample_witness(sampling, openings, tree.open(sampling.weight_rows()))


async def execute_sample(prover: StarkProver, sampling: Sampling, witness: bytes) -> Execution:
    """Runs the guest without proving.

    Raises:
        ProverRefused: when the guest refuses the witness (STP-011; GST-201 and on).
        WrongClaim: when it publishes another claim than the sampling's.
    """
    execution = await prover.execute(witness, image=CLAIM_KIND)
    require_claim(sampling.claim(), execution)
    return execution


async def prove_sample(
    prover: StarkProver,
    sampling: Sampling,
    witness: bytes,
    *,
    receipt_kind: str = "composite",
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    deadline_seconds: float = 3600,
    on_progress: OnProgress | None = None,
) -> SampleProof:
    """Proves the cells and verifies the receipt as a stranger would.

    `receipt_kind` is what is wanted, as in `prove_window`.

    Raises:
        ProverError: when no proof could be made.
        Rejection: when the receipt is not a proof of the released guest.
    """
    info = await prover.info()
    require_trusted_guest(info, CLAIM_KIND)
    proof = await prover.prove(
        witness,
        image=CLAIM_KIND,
        memory_bytes=memory_bytes,
        receipt=receipt_kind if info.succinct else "composite",
        deadline_seconds=deadline_seconds,
        on_progress=on_progress,
    )
    claim = sampling.claim()
    require_claim(claim, proof)
    remember_throughput(info.device, proof.total_cycles, proof.prove_seconds)
    usage = await asyncio.to_thread(verify_sample_receipt, proof.receipt, claim.encode())
    bundle = bundle_of(proof, None, CLAIM_KIND, Assurance.SAMPLED)
    return SampleProof(bundle, bundle.encode(), proof, info.device, receipt_kind, claim, usage)


def verify_sample_receipt(receipt: bytes, journal: bytes) -> Usage:
    """Accepts a receipt of the released guest `sample` for that journal.

    Raises:
        Rejection: for any other.
    """
    kinds = ReceiptKinds.COMPOSITE | ReceiptKinds.SUCCINCT
    return released_verifier().verify(receipt, journal, trusted_images()[CLAIM_KIND], kinds)
