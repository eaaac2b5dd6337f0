"""GPUs. The machines that run these tests have none, so that NVML's answers are stood in for, as
its documentation has them; only the driver's own count is the real thing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from platformless.node.monitoring.condition import gpu_body
from platformless.node.monitoring.exposition import exposed
from platformless.node.monitoring.gpu import Gpu, busiest, gpu_families, open_gpus

from .scraping import lint, names, samples_of, value

MIB = 1 << 20
A16 = Gpu(0, "NVIDIA A16", 0.42, 1024 * MIB, 2048 * MIB, 55.0)


class StandIn:
    """NVML with two devices, of which calls named in `broken` fail."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.initialised = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = {
            "nvmlInit": self._init,
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda _: "NVIDIA A16",
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=1024 * MIB, total=2048 * MIB),
            "nvmlDeviceGetUtilizationRates": lambda device: SimpleNamespace(gpu=42 + device),
            "nvmlDeviceGetTemperature": lambda *_: 55,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, self._breakable(name, answer))

    def _init(self) -> None:
        self.initialised += 1

    def _breakable(self, name: str, answer: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if name in self.broken:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
            return answer(*arguments)

        return call


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    stand_in.install(monkeypatch)
    return stand_in


def test_a_machine_has_the_gpus_that_its_driver_knows() -> None:
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError:
        count = 0
    assert len(open_gpus()()) == min(count, 8)


def test_every_device_is_read(nvml: StandIn) -> None:
    read = open_gpus()
    assert read() == (A16, Gpu(1, "NVIDIA A16", 0.43, 1024 * MIB, 2048 * MIB, 55.0))
    read()
    assert nvml.initialised == 1
    assert busiest(read()) == 0.43


def test_what_a_device_does_not_tell_is_left_out(nvml: StandIn) -> None:
    read = open_gpus()
    nvml.broken = {"nvmlDeviceGetTemperature", "nvmlDeviceGetUtilizationRates"}
    first = read()[0]
    assert (first.temperature_celsius, first.utilisation) == (None, None)
    assert first.memory_total_bytes == 2048 * MIB
    assert busiest(read()) is None
    told = names(samples_of(exposed(gpu_families(read())).decode()))
    assert told == {"gpu_available", "gpu_memory_used_bytes", "gpu_memory_total_bytes"}


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_a_driver_that_fails_leaves_no_gpu(nvml: StandIn, call: str) -> None:
    nvml.broken = {call}
    assert open_gpus()() == ()


def test_a_gpu_is_told_to_prometheus_by_its_index() -> None:
    text = exposed(gpu_families((A16,))).decode()
    assert lint(text) == ""
    samples, first = samples_of(text), {"gpu": "0"}
    assert value(samples, "gpu_available") == 1
    assert value(samples, "gpu_utilisation_ratio", first) == 0.42
    assert value(samples, "gpu_memory_used_bytes", first) == 1024 * MIB
    assert value(samples, "gpu_memory_total_bytes", first) == 2048 * MIB
    assert value(samples, "gpu_temperature_celsius", first) == 55
    assert names(samples_of(exposed(gpu_families(())).decode())) == {"gpu_available"}


def test_there_are_never_more_than_eight() -> None:
    many = tuple(Gpu(index, "x", 0.1, 1, 2, 3.0) for index in range(40))
    assert len(samples_of(exposed(gpu_families(many)).decode())) == 1 + 4 * 8


def test_health_shows_the_first_gpu_as_the_guide_does() -> None:
    body = gpu_body((A16,))
    assert (body.available, body.model) == (True, "NVIDIA A16")
    assert (body.vram_total, body.vram_used, body.temperature) == (2048, 1024, 55)
    assert isinstance(body.temperature, int)
