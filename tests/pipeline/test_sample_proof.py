"""A real proof of sampled cells, through the whole pipeline: k = 4, of two kinds that are cheap to
prove, in several segments, for want of memory. It shows less than a level asks for, and is refused
for that; the committed proof has a cell of each kind (`tests/proof/test_verify_sample.py`).
"""

from __future__ import annotations

import pytest

from platformless.audit.errors import KindsLeftOut
from platformless.audit.release import trusted_images
from platformless.audit.sample import verify_sample
from platformless.protocol import index as indexes
from platformless.protocol.bundle import Bundle
from platformless.protocol.sample.claim import SampleClaim
from platformless.protocol.sample.plan import SamplePlan
from platformless.protocol.trace.cells import SampledKind, Span
from platformless.prover.binary import find_prover
from platformless.prover.ledger.job_states import JobState
from platformless.prover.ledger.job_values import checkpoint_job, sample_job
from platformless.prover.pipeline.provers import StarkWindowProver
from platformless.prover.pipeline.tracing import Tracer

from .line import Line

CONFIRMED = JobState.CONFIRMED
BUDGET_BYTES = 700 << 20
"""Room for segments of 2^16 cycles; in one segment the run would take 2^17."""
DRAWS = ((SampledKind.EMBEDDING, 1), (SampledKind.V_CACHE, 3))


def four_cells(positions: int) -> SamplePlan:
    return SamplePlan(DRAWS, Span(0, positions))


async def test_a_checkpoint_is_traced_drawn_proven_published_and_verified(line: Line) -> None:
    async with (
        await Tracer.open(None) as tracer,
        StarkWindowProver(find_prover(), memory_bytes=BUDGET_BYTES) as prover,
        line.settling(),
        line.proving(prover, tracer=tracer),
    ):
        line.weights_root = tracer.weights_root
        session_id = await line.open()
        await line.record(session_id)
        await line.until_state(checkpoint_job(session_id, 0), CONFIRMED, seconds=300)
        await line.mine(8)
        async with line.sampling(tracer, prover, plan_of=four_cells):
            await line.until_state(sample_job(session_id, 0), CONFIRMED, seconds=900)
    artefact = await line.jobs.artefact(sample_job(session_id, 0))
    assert artefact is not None
    assert artefact.segments > 1
    assert artefact.peak_memory_bytes < BUDGET_BYTES
    told = await line.jobs.submission(sample_job(session_id, 0))
    assert told.index_cid is not None
    sample = indexes.decode(await line.stored(told.index_cid)).index.entries[0].sample
    assert sample is not None
    data = await line.stored(sample.cid)
    bundle = Bundle.decode(data)
    claim = SampleClaim.decode(bundle.journal)
    assert bundle.image == trusted_images()["sample"]
    assert claim.plan == four_cells(claim.layout.positions)
    with pytest.raises(KindsLeftOut):  # the step behind the STARK's
        verify_sample(data)
