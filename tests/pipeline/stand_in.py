"""Stand-ins for the prover and for traces, for tests of the schedule only.

The prover proves nothing: its bundles have the right journal and a receipt of random bytes, which
any verifier rejects. Everything else of the pipeline (ledger, leases, broker, storage, chain) is
real.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from platformless.audit.release import trusted_images
from platformless.audit.verify import CLAIM_KIND, ZKVM
from platformless.engine.gguf_header import read_header
from platformless.engine.model import packaged_model
from platformless.engine.trace.facts import model_facts
from platformless.protocol.acknowledgement import AcknowledgementSignature
from platformless.protocol.arithmetic.operations import Reference
from platformless.protocol.assurance import Assurance
from platformless.protocol.bundle import Bundle
from platformless.protocol.digests import ProofHash, TraceRoot
from platformless.protocol.sample.context import Context
from platformless.protocol.sample.witness import Sampling
from platformless.protocol.trace.challenge import Beacon
from platformless.protocol.trace.settings import TraceSettings
from platformless.protocol.window import Window
from platformless.prover.ledger.job_values import Artefact
from platformless.prover.messages import Executed, Execution, OnProgress, SegmentProven
from platformless.prover.pipeline.tracing import Tracer
from platformless.prover.sample import PlanOf

from .recorded import SOME_WEIGHTS

_CYCLES = 32_768


@dataclass
class StandInProver:
    """A `WindowProver` that takes `seconds` for what is no proof. `fault` is called before each,
    and may raise."""

    seconds: float = 0.05
    device: str = "cpu"
    expected: float | None = None
    fault: Callable[[Window], None] | None = None
    windows: list[Window] = field(default_factory=list)
    """What it was asked to prove."""
    samplings: list[Sampling] = field(default_factory=list)
    witnesses: list[bytes] = field(default_factory=list)

    async def expected_seconds(self, _window: Window) -> float | None:
        return self.expected

    async def prove(
        self,
        window: Window,
        acknowledgement: AcknowledgementSignature | None,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        self.windows.append(window)
        if self.fault is not None:
            self.fault(window)
        journal, level = window.claim().encode(), Assurance.ACCOUNTING
        signature = acknowledgement.value if acknowledgement else None
        async with asyncio.timeout(deadline_seconds):
            return await self._made(CLAIM_KIND, level, journal, on_progress, signature)

    async def prove_sample(
        self,
        sampling: Sampling,
        witness: bytes,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        self.samplings.append(sampling)
        self.witnesses.append(witness)
        journal = sampling.claim().encode()
        async with asyncio.timeout(deadline_seconds):
            return await self._made("sample", Assurance.SAMPLED, journal, on_progress)

    async def _made(
        self,
        claim_kind: str,
        assurance: Assurance,
        journal: bytes,
        on_progress: OnProgress,
        acknowledgement: bytes | None = None,
    ) -> Artefact:
        began = time.monotonic()
        on_progress(Executed(_execution(journal)))
        await asyncio.sleep(self.seconds)
        on_progress(SegmentProven(1, 1, _CYCLES, _CYCLES, time.monotonic() - began))
        data = Bundle(
            claim_kind=claim_kind,
            assurance=assurance.value,
            image_id=trusted_images()[claim_kind].value,
            zkvm=ZKVM,
            verifier_parameters=bytes(32),
            receipt_kind="composite",
            journal=journal,
            receipt=secrets.token_bytes(1024),
            acknowledgement=acknowledgement,
        ).encode()
        return Artefact(
            proof_hash=ProofHash.of(data),
            size_bytes=len(data),
            bundle=data,
            device=self.device,
            receipt_kind="composite",
            total_cycles=_CYCLES,
            segments=1,
            prove_ms=round((time.monotonic() - began) * 1000),
            peak_memory_bytes=0,
        )

    async def close(self) -> None:
        """Nothing is left behind."""


def _execution(journal: bytes) -> Execution:
    return Execution(
        image_id=trusted_images()[CLAIM_KIND].value.hex(),
        journal=journal.hex(),
        segments=1,
        segment_po2=[15],
        user_cycles=0,
        paging_cycles=0,
        reserved_cycles=0,
        total_cycles=_CYCLES,
        memory_bytes=0,
    )


class StandInTracer(Tracer):
    """Traces nothing: its roots are hashes of the tokens, its witnesses are empty. Sessions, plans
    and claims are as with the packaged model."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.weights_root = SOME_WEIGHTS
        self.seconds = seconds
        self.expected = 0.0
        self._facts = model_facts(read_header(packaged_model()))
        self._how = TraceSettings(llama_build="a stand-in", product_lanes=8)

    async def close(self) -> None:
        """Nothing was opened."""

    def expected_seconds(self, _tokens: int) -> float:
        return self.expected

    async def root(self, context: Context) -> TraceRoot:
        self._require_usable(context)
        await asyncio.sleep(self.seconds)
        return TraceRoot(hashlib.sha256(bytes(str(context.tokens), "ascii")).digest())

    def sampling(
        self, context: Context, root: TraceRoot, number: int, beacon: Beacon, plan_of: PlanOf
    ) -> Sampling:
        plan = plan_of(len(context.tokens))
        return Sampling(context, self._facts, root, self._how, Reference.AVX2, number, beacon, plan)

    async def witness(self, sampling: Sampling) -> bytes:
        assert sampling.cells()
        await asyncio.sleep(self.seconds)
        return b""
