"""What a container may use, and uses: the files of its control group (cgroup v2).

In a container `/sys/fs/cgroup` is the container's own group. On a machine it is the root group,
which has none of these files: then there is no limit, and the machine's own numbers count.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/sys/fs/cgroup")
_NO_LIMIT = "max"
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class ContainerMemory:
    """Memory of a container that has a limit."""

    used_bytes: int
    """Without what the kernel keeps of files and gives back when it is needed."""
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class ContainerCpu:
    """Processor time of a container that has a limit."""

    used_seconds: float
    cores: float


def container_memory(folder: Path = FOLDER) -> ContainerMemory | None:
    """None without a limit."""
    limit, used = _text(folder / "memory.max"), _text(folder / "memory.current")
    if limit is None or used is None or limit == _NO_LIMIT:
        return None
    cached = _fields(folder / "memory.stat").get("inactive_file", 0)
    return ContainerMemory(max(0, int(used) - cached), int(limit))


def container_cpu(folder: Path = FOLDER) -> ContainerCpu | None:
    """None without a limit."""
    quota, _, period = (_text(folder / "cpu.max") or "").partition(" ")
    used = _fields(folder / "cpu.stat").get("usage_usec")
    if used is None or not quota or not period or quota == _NO_LIMIT:
        return None
    return ContainerCpu(used / _MICROSECONDS, int(quota) / int(period))


def oom_kills(folder: Path = FOLDER, vmstat: Path = Path("/proc/vmstat")) -> int | None:
    """Processes that the kernel killed for want of memory: of the container, else of the machine.
    None when the kernel does not count them."""
    of_container = _fields(folder / "memory.events").get("oom_kill")
    return _fields(vmstat).get("oom_kill") if of_container is None else of_container


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _fields(path: Path) -> dict[str, int]:
    """A file of lines with a name and a number."""
    pairs = (line.split() for line in (_text(path) or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
