"""GPU and driver, llama.cpp, and the provers: that they are there and go with each other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ...audit.release import trusted_images
from ...audit.verify import ZKVM
from ...prover.binary import find_prover
from ...prover.errors import ProverNotFound
from ...prover.release_facts import InstalledEngine, InstalledProver
from .finding import Finding, error, ok, warning
from .machine import Gpus
from .shared import Subject

LEAST_CUDA = (12, 2)
_GIB = 1 << 30
_CUDA_BUILDS = 'docs/development.md, "CUDA"'


async def check_gpu(subject: Subject) -> list[Finding]:
    """GPU and driver, and whether what is installed was built for them."""
    gpus, engine, provers = await asyncio.gather(
        asyncio.to_thread(subject.machine.gpus), subject.engine(), subject.provers()
    )
    return gpu_findings(gpus, engine, provers)


def gpu_findings(
    gpus: Gpus, engine: InstalledEngine | None, provers: Sequence[InstalledProver]
) -> list[Finding]:
    """What a reading of the driver means for what is installed."""
    has_engine = engine is not None and engine.uses_gpu
    has_prover = any(prover.is_cuda for prover in provers)
    if not gpus.devices:
        return _without_gpu(gpus, has_engine, has_prover)
    names = ", ".join(
        f"{gpu.name} ({gpu.memory.total_bytes / _GIB:.0f} GiB)" for gpu in gpus.devices
    )
    cuda = ".".join(map(str, gpus.cuda))
    says = f"{names}; driver {gpus.driver}, CUDA {cuda}"
    if gpus.cuda < LEAST_CUDA:
        least = ".".join(map(str, LEAST_CUDA))
        return [error("gpu", f"{says}; needed is CUDA {least}", "install a newer NVIDIA driver")]
    findings = [ok("gpu", says)]
    if engine is not None and engine.build and not has_engine:
        advice = f"install llama.cpp built for CUDA: {_CUDA_BUILDS}"
        findings.append(warning("gpu", "llama.cpp was built without a GPU", advice))
    if not has_prover:
        advice = "build it: make prover-cuda"
        findings.append(warning("gpu", "proofs are built by the CPU: no CUDA prover", advice))
    return findings


def _without_gpu(gpus: Gpus, has_engine: bool, has_prover: bool) -> list[Finding]:
    if gpus.problem:
        advice = "correct the driver's installation, or install nvidia-ml-py"
        return [warning("gpu", f"the GPUs cannot be asked about: {gpus.problem}", advice)]
    for_cuda = [
        name for name, there in (("llama.cpp", has_engine), ("a prover", has_prover)) if there
    ]
    if for_cuda:
        says = f"no GPU, though {' and '.join(for_cuda)} was built for CUDA: the CPU is used"
        advice = "install the NVIDIA driver; in a container, start it with the GPUs (--gpus all)"
        return [warning("gpu", says, advice)]
    return [ok("gpu", "none: the CPU runs the model and builds the proofs")]


async def check_engine(subject: Subject) -> list[Finding]:
    """Whether llama.cpp is there and loads."""
    engine = await subject.engine()
    if engine is None:
        return [error("engine", "llama.cpp is not installed", "install the `engine` extra")]
    if not engine.build:
        advice = "one built for CUDA needs the driver; else install it anew"
        return [error("engine", f"llama.cpp does not load: {engine.problem}", advice)]
    return [ok("engine", f"{engine.build}, {'for a GPU' if engine.uses_gpu else 'for the CPU'}")]


async def check_prover(subject: Subject) -> list[Finding]:
    """Whether there is a prover that starts and has the programs that this release trusts."""
    provers = await subject.provers()
    gpus = await asyncio.to_thread(subject.machine.gpus)
    findings = [_prover(prover, bool(gpus.devices)) for prover in provers]
    try:
        find_prover()
    except ProverNotFound as problem:
        if not any(prover.info for prover in provers):
            findings.insert(0, error("prover", str(problem), problem.advice))
    return findings


def _prover(prover: InstalledProver, has_gpu: bool) -> Finding:
    info, path = prover.info, prover.path
    if info is None:
        says = f"{path} does not start: {prover.problem}"
        if prover.is_cuda and not has_gpu:
            return warning("prover", says, "it needs the NVIDIA driver; a worker passes it over")
        return error("prover", says, "build it anew: make prover")
    wanted = {name: str(image) for name, image in trusted_images().items()}
    got = {name: _image(digits) for name, digits in info.images.items()}
    wrong = [name for name, image in wanted.items() if got.get(name) != image]
    if wrong or info.zkvm != ZKVM:
        says = f"{path} is of another release: {_difference(wrong, info.zkvm, path)}"
        return error("prover", says, "build the prover of this release: make prover")
    kinds = "composite and succinct" if info.succinct else "composite"
    return ok("prover", f"{path} starts: {info.device}, {kinds} receipts, this release's programs")


def _difference(wrong: Sequence[str], zkvm: str, path: Path) -> str:
    programs = f"its {' and '.join(wrong)} program differs" if wrong else ""
    machine = f"{zkvm} instead of {ZKVM}" if zkvm != ZKVM else ""
    return ", ".join(filter(None, (programs, machine))) or path.name


def _image(digits: str) -> str:
    return "0x" + digits.removeprefix("0x").lower()
