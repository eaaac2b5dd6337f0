"""How fast this machine proves: the time of a proof goes with its padded cycles."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

from ..files import write_atomically
from ..places import cache_folder

REFERENCE_CYCLES_PER_SECOND = {"cpu": 2_500.0}
"""Measured by benchmarks/proof_core.py on two cores of an AMD EPYC (docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Padded cycles a second, and where the figure comes from."""

    cycles_per_second: float
    source: str

    def seconds(self, padded_cycles: int) -> float:
        return padded_cycles / self.cycles_per_second


def expected_throughput(device: str) -> Throughput | None:
    """From the last proof on this machine, else from the reference machine, else unknown."""
    measured = _load().get(device)
    if measured is not None:
        return Throughput(measured, "measured on this machine")
    reference = REFERENCE_CYCLES_PER_SECOND.get(device)
    return Throughput(reference, "reference machine, 2 cores") if reference else None


def remember_throughput(device: str, padded_cycles: int, seconds: float) -> None:
    """Keeps the figure of a proof just made; a cache that cannot be written is no error."""
    if seconds <= 0:
        return
    figures = {**_load(), device: padded_cycles / seconds}
    with contextlib.suppress(OSError):
        cache_folder().mkdir(parents=True, exist_ok=True)
        write_atomically(cache_folder() / "throughput.json", json.dumps(figures).encode())


def _load() -> dict[str, float]:
    try:
        figures = json.loads((cache_folder() / "throughput.json").read_bytes())
        return {str(device): float(rate) for device, rate in figures.items() if float(rate) > 0}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
