"""What this machine has: clock, disk, memory, limits, GPUs. Read through one object, so that a
test can say what cannot be had here."""

from __future__ import annotations

import importlib
import resource
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..monitoring.cgroup import container_memory


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a disk or of memory."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device."""

    name: str
    memory: Space


@dataclass(frozen=True, slots=True)
class Gpus:
    """What the driver says."""

    driver: str = ""
    """Its version; empty when there is no driver."""
    cuda: tuple[int, int] = (0, 0)
    """The newest CUDA that it can run."""
    devices: tuple[Gpu, ...] = ()
    problem: str = ""
    """Why nothing more is known."""


def disk_space(folder: Path) -> Space:
    """Of the file system that a folder is on, or will be. Bytes that root alone may use are not
    free."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    usage = shutil.disk_usage(existing)
    return Space(usage.used + usage.free, usage.free)


def memory_space() -> Space:
    """Of the machine, or of the container around this process when that may use less."""
    machine, container = _machine_memory(), container_memory()
    if container is None or container.limit_bytes >= machine.total_bytes:
        return machine
    left = max(0, container.limit_bytes - container.used_bytes)
    return Space(container.limit_bytes, min(left, machine.free_bytes))


def _machine_memory() -> Space:
    try:
        import psutil
    except ImportError:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return Space(kib["MemTotal"] << 10, kib["MemAvailable"] << 10)
    memory = psutil.virtual_memory()
    return Space(memory.total, memory.available)


def open_files_limit() -> int:
    """How many files and connections a process may have open (`ulimit -n`)."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


def nvidia_gpus() -> Gpus:
    """By NVML, the driver's library."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        there = Path("/dev/nvidiactl").exists()
        return Gpus(problem="a driver is there, but nvidia-ml-py is not installed" if there else "")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Gpus(problem=str(error) if Path("/dev/nvidiactl").exists() else "")
    try:
        return _gpus(nvml)
    except nvml.NVMLError as error:
        return Gpus(problem=str(error))
    finally:
        with suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _gpus(nvml: Any) -> Gpus:
    number = nvml.nvmlSystemGetCudaDriverVersion_v2()
    devices = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        devices.append(
            Gpu(_text(nvml.nvmlDeviceGetName(handle)), Space(int(memory.total), int(memory.free)))
        )
    driver = _text(nvml.nvmlSystemGetDriverVersion())
    return Gpus(driver, (number // 1000, number % 1000 // 10), tuple(devices))


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class Machine:
    """The readings; tests replace those that cannot be had."""

    clock: Callable[[], float] = time.time
    """Unix time in seconds."""
    disk: Callable[[Path], Space] = disk_space
    memory: Callable[[], Space] = memory_space
    open_files: Callable[[], int] = open_files_limit
    gpus: Callable[[], Gpus] = nvidia_gpus
