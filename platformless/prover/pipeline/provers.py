"""The provers of a worker: what turns a window into a bundle, on which device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ...closing import AsyncClosing
from ...places import find_program
from ...protocol.acknowledgement import AcknowledgementSignature
from ...protocol.digests import ProofHash
from ...protocol.sample.witness import Sampling
from ...protocol.window import Window
from ..binary import find_prover
from ..errors import ProverNotFound
from ..ledger.job_values import Artefact
from ..messages import OnProgress
from ..process import DEFAULT_MEMORY_BYTES, StarkProver
from ..proof import MadeProof, estimate_window, prove_window

CUDA_PROGRAM = "stark-prover-cuda"


class WindowProver(Protocol):
    """Builds the proofs of a window and of its sampled cells. Errors: `ProverError`,
    `Rejection`."""

    async def expected_seconds(self, window: Window) -> float | None:
        """How long a proof will take; None when nothing is known."""

    async def prove(
        self,
        window: Window,
        acknowledgement: AcknowledgementSignature | None,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        """A bundle that was verified."""

    async def prove_sample(
        self,
        sampling: Sampling,
        witness: bytes,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        """A bundle of sampled cells that was verified."""

    async def close(self) -> None:
        """Leaves no process behind."""


class StarkWindowProver(AsyncClosing):
    """Drives a stark-prover."""

    def __init__(
        self,
        binary: Path,
        *,
        receipt_kind: str = "composite",
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        self._prover = StarkProver(binary)
        self._receipt_kind = receipt_kind
        self._memory_bytes = memory_bytes

    async def device(self) -> str:
        """`cpu` or `cuda`, as the binary says."""
        return (await self._prover.info()).device

    async def expected_seconds(self, window: Window) -> float | None:
        report = await estimate_window(self._prover, window, memory_bytes=self._memory_bytes)
        return report.seconds

    async def prove(
        self,
        window: Window,
        acknowledgement: AcknowledgementSignature | None,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        report = await prove_window(
            self._prover,
            window,
            acknowledgement=acknowledgement,
            receipt_kind=self._receipt_kind,
            memory_bytes=self._memory_bytes,
            deadline_seconds=deadline_seconds,
            on_progress=on_progress,
        )
        return artefact_of(report)

    async def prove_sample(
        self,
        sampling: Sampling,
        witness: bytes,
        *,
        deadline_seconds: float,
        on_progress: OnProgress,
    ) -> Artefact:
        from ..sample import prove_sample  # it brings llama.cpp

        report = await prove_sample(
            self._prover,
            sampling,
            witness,
            receipt_kind=self._receipt_kind,
            memory_bytes=self._memory_bytes,
            deadline_seconds=deadline_seconds,
            on_progress=on_progress,
        )
        return artefact_of(report)

    async def close(self) -> None:
        await self._prover.close()


def artefact_of(report: MadeProof) -> Artefact:
    """What the ledger keeps of a proof."""
    proof = report.proof
    return Artefact(
        proof_hash=ProofHash.of(report.data),
        size_bytes=len(report.data),
        bundle=report.data,
        device=report.device,
        receipt_kind=proof.receipt_kind,
        total_cycles=proof.total_cycles,
        segments=proof.segments,
        prove_ms=round(proof.prove_seconds * 1000),
        peak_memory_bytes=proof.peak_memory_bytes,
    )


class Provers(AsyncClosing):
    """A worker's provers by device, the preferred one first."""

    def __init__(self, by_device: Mapping[str, WindowProver]) -> None:
        if not by_device:
            raise ProverNotFound("a worker without a prover")
        self._by_device = dict(by_device)

    @classmethod
    async def found(cls, *, receipt_kind: str, memory_bytes: int) -> Provers:
        """What is installed: a GPU's prover that answers, and the CPU's. One of them is enough.

        Raises:
            ProverNotFound: when there is none.
        """

        def driving(binary: Path) -> StarkWindowProver:
            return StarkWindowProver(binary, receipt_kind=receipt_kind, memory_bytes=memory_bytes)

        found: dict[str, WindowProver] = {}
        cuda, _ = find_program(CUDA_PROGRAM, "STARK_PROVER_CUDA")
        if cuda is not None and Path("/dev/nvidiactl").exists():
            found["cuda"] = driving(cuda)
        try:
            other = driving(find_prover())
        except ProverNotFound:
            if not found:
                raise
            return cls(found)
        device = await other.device()
        if device in found:  # both names are of one kind
            await other.close()
        else:
            found[device] = other
        return cls(found)

    @property
    def preferred(self) -> str:
        """The device that proofs are built on."""
        return next(iter(self._by_device))

    @property
    def has_cpu(self) -> bool:
        return "cpu" in self._by_device

    def on(self, device: str) -> WindowProver:
        """The prover of a device; the preferred one when there is none of it."""
        return self._by_device.get(device) or self._by_device[self.preferred]

    async def close(self) -> None:
        for prover in self._by_device.values():
            await prover.close()
