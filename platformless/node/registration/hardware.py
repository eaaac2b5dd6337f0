"""What this machine is, as the registry's metadata says it. Nothing that cannot be found out is
made up."""

from __future__ import annotations

import importlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GIBI = 1 << 30
_NO_GPU = "none"
_UNKNOWN = "unknown"
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine that answers are generated on."""

    gpu: str
    """Names, the same one counted (`2 x NVIDIA H200`); `none` when there is none."""
    vram_gib: int
    """Of all GPUs together, rounded."""
    ram_gib: int
    cpu: str


def find_hardware() -> Hardware:
    """Asks the NVIDIA driver and the system. Takes milliseconds."""
    gpus = _gpus()
    return Hardware(
        gpu=gpu_text([name for name, _ in gpus]),
        vram_gib=_gibibytes(sum(size for _, size in gpus)),
        ram_gib=_gibibytes(_memory_bytes()),
        cpu=f"{_processor()}, {os.cpu_count() or 1} threads",
    )


def gpu_text(names: list[str]) -> str:
    """`none`, `NVIDIA H200`, or `2 x NVIDIA H200, NVIDIA L4`."""
    counts = {name: names.count(name) for name in names}
    texts = (name if count == 1 else f"{count} x {name}" for name, count in counts.items())
    return ", ".join(texts) or _NO_GPU


def _gpus() -> list[tuple[str, int]]:
    """Name and bytes of memory of each GPU; none without a driver, or without its library."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(at) for at in range(nvml.nvmlDeviceGetCount())]
        return [
            (_text(nvml.nvmlDeviceGetName(handle)), int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
            for handle in handles
        ]
    except nvml.NVMLError:
        return []
    finally:
        nvml.nvmlShutdown()


def _memory_bytes() -> int:
    try:
        psutil: Any = importlib.import_module("psutil")
    except ImportError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(psutil.virtual_memory().total)


def _processor() -> str:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or _UNKNOWN


def _gibibytes(size: int) -> int:
    return (size + _GIBI // 2) // _GIBI


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
