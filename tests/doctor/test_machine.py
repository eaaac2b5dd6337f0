"""Disk, memory, open files and GPUs. What this machine cannot have is injected: a full disk, a
small memory, a low limit, a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from platformless.node.doctor.build_checks import gpu_findings
from platformless.node.doctor.finding import Level
from platformless.node.doctor.machine import (
    Gpu,
    Gpus,
    Machine,
    Space,
    disk_space,
    memory_space,
    nvidia_gpus,
    open_files_limit,
)
from platformless.node.doctor.model_checks import fits
from platformless.prover.messages import ProverInfo
from platformless.prover.release_facts import InstalledEngine, InstalledProver

from .conftest import Patient, levels

GIB = 1 << 30
A16 = Gpus("550.54", (12, 4), (Gpu("NVIDIA A16", Space(16 * GIB, 15 * GIB)),))
OLD_DRIVER = Gpus("470.1", (11, 4), A16.devices)
NO_GPU = Gpus()
CPU_ENGINE, CUDA_ENGINE = InstalledEngine("llama.cpp"), InstalledEngine("llama.cpp", uses_gpu=True)


def prover(device: str) -> InstalledProver:
    info = ProverInfo("0.1.0", "risc0-zkvm", {}, device, False, 1)
    return InstalledProver("stark-prover", Path("stark-prover"), info)


def test_this_machine_is_read() -> None:
    assert 0 < memory_space().free_bytes <= memory_space().total_bytes
    space = disk_space(Path("a/folder/that/is/not/there"))
    assert 0 < space.free_bytes <= space.total_bytes
    assert open_files_limit() > 0
    assert isinstance(nvidia_gpus(), Gpus)


@pytest.mark.parametrize(
    ("free_gib", "level"), [(50, Level.OK), (9, Level.WARNING), (0.9, Level.ERROR)]
)
async def test_a_full_disk_is_told(patient: Patient, free_gib: float, level: Level) -> None:
    """The reading is injected: no disk is filled."""
    space = Space(100 * GIB, int(free_gib * GIB))
    found = await patient.finding("disk", machine=Machine(disk=lambda _: space))
    assert found.level is level
    assert str(patient.data) in found.says
    assert not patient.data.exists()


@pytest.mark.parametrize(
    ("total_gib", "free_gib", "level"),
    [
        (32, 20, Level.OK),
        (7.6, 5, Level.WARNING),  # sold as 8, but PROVER_MEMORY_GIB's 8 do not fit
        (4, 3, Level.WARNING),
        (32, 0.5, Level.ERROR),
    ],
)
async def test_too_little_memory_is_told(
    patient: Patient, total_gib: float, free_gib: float, level: Level
) -> None:
    """The reading is injected."""
    space = Space(int(total_gib * GIB), int(free_gib * GIB))
    found = await patient.finding("memory", machine=Machine(memory=lambda: space))
    assert found.level is level, found


@pytest.mark.parametrize(("limit", "level"), [(1024, Level.WARNING), (4096, Level.OK)])
async def test_a_low_limit_of_open_files_is_told(
    patient: Patient, limit: int, level: Level
) -> None:
    """The reading is injected."""
    found = await patient.finding("open-files", machine=Machine(open_files=lambda: limit))
    assert found.level is level


@pytest.mark.parametrize(
    ("gpus", "engine", "device", "expected"),
    [
        (A16, CUDA_ENGINE, "cuda", [Level.OK]),
        (A16, CPU_ENGINE, "cuda", [Level.OK, Level.WARNING]),
        (A16, CUDA_ENGINE, "cpu", [Level.OK, Level.WARNING]),
        (A16, CPU_ENGINE, "cpu", [Level.OK, Level.WARNING, Level.WARNING]),
        (OLD_DRIVER, CUDA_ENGINE, "cuda", [Level.ERROR]),
        (NO_GPU, CPU_ENGINE, "cpu", [Level.OK]),
        (NO_GPU, CUDA_ENGINE, "cpu", [Level.WARNING]),
        (NO_GPU, CPU_ENGINE, "cuda", [Level.WARNING]),
        (Gpus(problem="driver mismatch"), CPU_ENGINE, "cpu", [Level.WARNING]),
    ],
)
def test_gpu_and_builds_go_with_each_other(
    gpus: Gpus, engine: InstalledEngine, device: str, expected: list[Level]
) -> None:
    """What the driver says is injected: this machine has no GPU."""
    assert levels(gpu_findings(gpus, engine, [prover(device)])) == expected


@pytest.mark.parametrize(
    ("space", "level"),
    [
        (Space(16 * GIB, 8 * GIB), Level.OK),
        (Space(16 * GIB, 4 * GIB), Level.WARNING),
        (Space(4 * GIB, 4 * GIB), Level.ERROR),
    ],
)
@pytest.mark.parametrize("on_gpu", [True, False])
def test_weights_that_do_not_fit_are_told(space: Space, level: Level, on_gpu: bool) -> None:
    assert fits(5 * GIB, space, on_gpu).level is level


async def test_the_gpu_of_this_machine_is_looked_at(patient: Patient) -> None:
    """With a reading without a GPU; the builds are those that are installed."""
    machine = Machine(gpus=lambda: NO_GPU)
    assert (await patient.finding("gpu", machine=machine)).level is Level.OK
    assert (await patient.finding("engine")).level is Level.OK
    assert (await patient.finding("model-memory", machine=machine)).level is Level.OK
