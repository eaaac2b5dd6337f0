"""The machine's GPUs, as NVIDIA's management library (NVML) tells of them.

NVML is initialised once. A machine without it, without a driver or without a GPU has none; a value
that a device does not tell is None; an error of a device leaves out what it should have told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pynvml
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

log = logging.getLogger(__name__)

MOST_GPUS = 8
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU at a moment."""

    index: int
    model: str | None
    utilisation: float | None
    """0 to 1."""
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    temperature_celsius: float | None


Gpus = tuple[Gpu, ...]
GpuSource = Callable[[], Callable[[], Gpus]]
"""Opened once, then asked for each reading."""


def open_gpus() -> Callable[[], Gpus]:
    """Initialises NVML. Where that fails, readings have no GPU."""
    try:
        pynvml.nvmlInit()
        count = min(pynvml.nvmlDeviceGetCount(), MOST_GPUS)
    except pynvml.NVMLError as error:
        log.info("no GPU is read: %s", error)
        return lambda: ()
    return lambda: tuple(gpu for index in range(count) if (gpu := _read(index)) is not None)


def _read(index: int) -> Gpu | None:
    """None when the device is gone."""
    device = _told(lambda: pynvml.nvmlDeviceGetHandleByIndex(index))
    if device is None:
        return None
    name = _told(lambda: pynvml.nvmlDeviceGetName(device))
    memory = _told(lambda: pynvml.nvmlDeviceGetMemoryInfo(device))
    rates = _told(lambda: pynvml.nvmlDeviceGetUtilizationRates(device))
    celsius = _told(lambda: pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU))
    return Gpu(
        index=index,
        model=name.decode() if isinstance(name, bytes) else name,
        utilisation=None if rates is None else rates.gpu / 100,
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_total_bytes=None if memory is None else int(memory.total),
        temperature_celsius=None if celsius is None else float(celsius),
    )


def _told(ask: Callable[[], _Value]) -> _Value | None:
    try:
        return ask()
    except pynvml.NVMLError as error:
        log.debug("NVML: %s", error)
        return None


def busiest(gpus: Sequence[Gpu]) -> float | None:
    """The utilisation of the busiest; None when none tells."""
    told = [gpu.utilisation for gpu in gpus if gpu.utilisation is not None]
    return max(told) if told else None


def gpu_families(gpus: Sequence[Gpu]) -> Iterator[Metric]:
    """The GPUs as Prometheus names them."""
    yield GaugeMetricFamily(
        "platformless_gpu_available", "Whether the machine has a GPU.", value=bool(gpus)
    )
    told: tuple[tuple[str, str, Callable[[Gpu], float | None]], ...] = (
        ("utilisation_ratio", "How busy the GPU is, 0 to 1.", lambda gpu: gpu.utilisation),
        ("memory_used_bytes", "GPU memory in use.", lambda gpu: gpu.memory_used_bytes),
        ("memory_total_bytes", "GPU memory in all.", lambda gpu: gpu.memory_total_bytes),
        ("temperature_celsius", "The GPU's temperature.", lambda gpu: gpu.temperature_celsius),
    )
    for name, help_text, value_of in told:
        family = GaugeMetricFamily(f"platformless_gpu_{name}", help_text, labels=("gpu",))
        for gpu in gpus[:MOST_GPUS]:
            value = value_of(gpu)
            if value is not None:
                family.add_metric((str(gpu.index),), value)
        yield family
