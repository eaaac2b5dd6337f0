"""The machine: processor, memory, disk and network, as psutil and the kernel tell.

In a container with limits, processor and memory are measured against those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from .cgroup import ContainerCpu, container_cpu, container_memory, oom_kills


@dataclass(frozen=True, slots=True)
class SystemReading:
    """The machine at a moment. None is what it does not tell."""

    cpu_utilisation: float | None
    """0 to 1, since the reading before; None in the first one."""
    memory_used_bytes: int
    memory_total_bytes: int
    disk_free_bytes: int | None
    """Of the volume that the data folder is on."""
    disk_total_bytes: int | None
    disk_read_bytes: int | None
    """Of all disks, since the machine started."""
    disk_written_bytes: int | None
    network_received_bytes: int | None
    network_sent_bytes: int | None
    oom_kills: int | None


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all processors together, and a container's when it has a limit."""

    at: float
    busy: float
    total: float
    container: ContainerCpu | None = None


def utilisation(before: CpuTimes, after: CpuTimes) -> float | None:
    """How busy the processors were between two moments, 0 to 1; None when no time passed."""
    if before.container is not None and after.container is not None:
        capacity = (after.at - before.at) * after.container.cores
        used = after.container.used_seconds - before.container.used_seconds
    else:
        capacity, used = after.total - before.total, after.busy - before.busy
    return min(1.0, max(0.0, used / capacity)) if capacity > 0 else None


def open_system(data_folder: Path) -> Callable[[], SystemReading]:
    """Gives what is called for each reading."""
    before = cpu_times()

    def read() -> SystemReading:
        nonlocal before
        now = cpu_times()
        busy, before = utilisation(before, now), now
        return _read(data_folder, busy)

    return read


def cpu_times() -> CpuTimes:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guests' time is in user's and nice's already
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    total = sum(times) - guest
    return CpuTimes(time.monotonic(), total - idle, total, container_cpu())


def _read(data_folder: Path, cpu_utilisation: float | None) -> SystemReading:
    memory = psutil.virtual_memory()
    used, total = memory.total - memory.available, memory.total
    container = container_memory()
    if container is not None and container.limit_bytes < total:
        used, total = container.used_bytes, container.limit_bytes
    try:
        disk = psutil.disk_usage(str(data_folder))
    except OSError:
        disk = None
    disks, network = psutil.disk_io_counters(), psutil.net_io_counters()
    return SystemReading(
        cpu_utilisation=cpu_utilisation,
        memory_used_bytes=used,
        memory_total_bytes=total,
        disk_free_bytes=None if disk is None else disk.free,
        disk_total_bytes=None if disk is None else disk.total,
        disk_read_bytes=None if disks is None else disks.read_bytes,
        disk_written_bytes=None if disks is None else disks.write_bytes,
        network_received_bytes=None if network is None else network.bytes_recv,
        network_sent_bytes=None if network is None else network.bytes_sent,
        oom_kills=oom_kills(),
    )


def system_families(reading: SystemReading) -> Iterator[Metric]:
    """The reading as Prometheus names it."""
    gauges = (
        ("cpu_utilisation_ratio", "How busy the processors are, 0 to 1.", reading.cpu_utilisation),
        ("memory_used_bytes", "Memory that is not available.", reading.memory_used_bytes),
        ("memory_total_bytes", "Memory that may be used.", reading.memory_total_bytes),
        ("disk_free_bytes", "Free on the data folder's volume.", reading.disk_free_bytes),
        ("disk_total_bytes", "Size of the data folder's volume.", reading.disk_total_bytes),
    )
    counters = (
        ("disk_read_bytes", "Read from all disks.", reading.disk_read_bytes),
        ("disk_written_bytes", "Written to all disks.", reading.disk_written_bytes),
        ("network_received_bytes", "Received over the network.", reading.network_received_bytes),
        ("network_sent_bytes", "Sent over the network.", reading.network_sent_bytes),
        ("oom_kills", "Processes killed for want of memory.", reading.oom_kills),
    )
    for name, help_text, value in gauges:
        if value is not None:
            yield GaugeMetricFamily(f"platformless_{name}", help_text, value=value)
    for name, help_text, value in counters:
        if value is not None:
            yield CounterMetricFamily(f"platformless_{name}", help_text, value=value)
