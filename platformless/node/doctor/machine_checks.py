"""Disk, memory, and how many files may be open."""

from __future__ import annotations

import asyncio

from .finding import Finding, error, ok, warning
from .shared import Subject

_GIB = 1 << 30
LEAST_DISK_BYTES = 1 << 30
LEAST_DISK_SHARE = 0.10
WANTED_MEMORY_BYTES = 8 * _GIB
_LEAST_MEMORY_BYTES = 1 << 30
_ROUNDED = 0.9
"""A machine sold with 8 GiB shows somewhat less."""
LEAST_OPEN_FILES = 4096


async def check_disk(subject: Subject) -> list[Finding]:
    """Free space where the data folder is, or will be."""
    folder = subject.settings.data_folder.absolute()
    space = await asyncio.to_thread(subject.machine.disk, folder)
    says = f"{_gib(space.free_bytes)} of {_gib(space.total_bytes)} are free at {folder}"
    advice = "make room, or set DATA_FOLDER to another disk"
    if space.free_bytes < LEAST_DISK_BYTES:
        return [error("disk", says, advice)]
    if space.free_bytes < LEAST_DISK_SHARE * space.total_bytes:
        return [warning("disk", says, advice)]
    return [ok("disk", says)]


async def check_memory(subject: Subject) -> list[Finding]:
    """Whether the machine has what a host needs, and what a proof may take."""
    space = subject.machine.memory()
    proving = int(subject.settings.prover_memory_gib * _GIB)
    says = f"{_gib(space.free_bytes)} of {_gib(space.total_bytes)} are free"
    if space.free_bytes < _LEAST_MEMORY_BYTES:
        return [error("memory", says, "end what else uses it, or run the node on another machine")]
    if space.total_bytes < _ROUNDED * WANTED_MEMORY_BYTES:
        advice = f"a host wants {_gib(WANTED_MEMORY_BYTES)}"
        return [warning("memory", says, advice)]
    if proving > space.total_bytes:
        says += f"; PROVER_MEMORY_GIB allows {_gib(proving)}"
        return [warning("memory", says, "lower PROVER_MEMORY_GIB, else the kernel ends provers")]
    return [ok("memory", says)]


async def check_open_files(subject: Subject) -> list[Finding]:
    """Every client is an open file."""
    limit = subject.machine.open_files()
    if limit < LEAST_OPEN_FILES:
        says = f"a process may have {limit} open, wanted are {LEAST_OPEN_FILES}"
        advice = "ulimit -n 65536 before the start; LimitNOFILE=65536 under systemd"
        return [warning("open-files", says, advice)]
    return [ok("open-files", f"a process may have {limit:,} open")]


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f} GiB"
