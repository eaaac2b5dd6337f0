"""The machine: what it tells, what a container may use, what happens when it does not tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from platformless.node.monitoring.cgroup import (
    ContainerCpu,
    container_cpu,
    container_memory,
    oom_kills,
)
from platformless.node.monitoring.exposition import exposed
from platformless.node.monitoring.sampled import Sampled
from platformless.node.monitoring.system import (
    CpuTimes,
    open_system,
    system_families,
    utilisation,
)

from .scraping import lint, names, samples_of, value
from .waiting import until

MIB = 1 << 20


def test_this_machine_tells_of_itself(tmp_path: Path) -> None:
    read = open_system(tmp_path)
    read()
    deadline = time.monotonic() + 30
    while (reading := read()).cpu_utilisation is None and time.monotonic() < deadline:
        pass
    assert reading.cpu_utilisation is not None
    assert 0 <= reading.cpu_utilisation <= 1
    assert 0 < reading.memory_used_bytes < reading.memory_total_bytes
    assert reading.disk_total_bytes is not None
    assert reading.disk_free_bytes is not None
    assert 0 < reading.disk_free_bytes <= reading.disk_total_bytes
    text = exposed(system_families(reading)).decode()
    assert lint(text) == ""
    assert {"cpu_utilisation_ratio", "memory_used_bytes", "disk_free_bytes"} <= names(
        samples_of(text)
    )


def test_a_folder_that_is_gone_leaves_out_its_disk(tmp_path: Path) -> None:
    reading = open_system(tmp_path / "gone")()
    assert reading.disk_free_bytes is None
    told = names(samples_of(exposed(system_families(reading)).decode()))
    assert "disk_free_bytes" not in told
    assert "memory_used_bytes" in told


def test_processors_are_as_busy_as_their_time_says() -> None:
    before = CpuTimes(at=0, busy=100, total=1000)
    assert utilisation(before, CpuTimes(at=5, busy=105, total=1020)) == 0.25
    assert utilisation(before, before) is None


def test_a_container_with_half_the_cores_is_busy_when_it_uses_those() -> None:
    before = CpuTimes(0, 0, 0, ContainerCpu(used_seconds=10, cores=2))
    after = CpuTimes(5, 10, 40, ContainerCpu(used_seconds=19, cores=2))
    assert utilisation(before, after) == 0.9


def test_a_container_is_measured_against_its_limits(tmp_path: Path) -> None:
    for name, text in {
        "memory.max": f"{512 * MIB}\n",
        "memory.current": f"{300 * MIB}\n",
        "memory.stat": f"anon 5\ninactive_file {100 * MIB}\n",
        "memory.events": "low 0\noom 3\noom_kill 2\n",
        "cpu.max": "150000 100000\n",
        "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
    }.items():
        (tmp_path / name).write_text(text)
    memory = container_memory(tmp_path)
    assert memory is not None
    assert (memory.used_bytes, memory.limit_bytes) == (200 * MIB, 512 * MIB)
    assert container_cpu(tmp_path) == ContainerCpu(used_seconds=2.5, cores=1.5)
    assert oom_kills(tmp_path) == 2


def test_a_container_without_limits_is_measured_as_its_machine(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 1\n")
    assert container_memory(tmp_path) is None
    assert container_cpu(tmp_path) is None


def test_a_machine_counts_its_own_kills(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 7\noom_kill 4\n")
    assert oom_kills(tmp_path / "none", vmstat) == 4
    assert oom_kills(tmp_path / "none", tmp_path / "none") is None


async def test_a_reading_that_hangs_holds_up_nobody_and_is_not_told_for_long() -> None:
    hanging, hung = threading.Event(), threading.Event()

    def read() -> int:
        if hanging.is_set():
            hung.wait(60)
        return 7

    async with Sampled("test", lambda: read, seconds=0.05, stale_seconds=0.2) as sampled:
        await until(lambda: sampled.newest() == 7)
        hanging.set()
        await until(lambda: sampled.newest() is None)
        hung.set()


async def test_a_reading_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    asked = 0

    def read() -> int:
        nonlocal asked
        asked += 1
        raise OSError("no such sensor")

    async with Sampled("sensor", lambda: read, seconds=0.01, stale_seconds=60) as sampled:
        await until(lambda: asked > 5)
        assert sampled.newest() is None
    assert caplog.text.count("sensor: not to be read now") == 1


async def test_what_cannot_be_opened_has_no_readings(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Callable[[], int]:
        raise OSError("no such driver")

    async with Sampled("driver", fail, seconds=0.01, stale_seconds=60) as sampled:
        await until(lambda: "driver: not to be read" in caplog.text)
        assert sampled.newest() is None


def test_values_survive_the_text(tmp_path: Path) -> None:
    reading = open_system(tmp_path)()
    samples = samples_of(exposed(system_families(reading)).decode())
    assert value(samples, "memory_total_bytes") == reading.memory_total_bytes
