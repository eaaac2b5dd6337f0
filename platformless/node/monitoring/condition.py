"""How a node is, as `/health` and `/ready` say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from .chain import ChainReading
from .gpu import Gpu, Gpus
from .load import Load

CHAIN_BORNE_SECONDS = 120.0
"""A chain that is silent for so long is borne: sessions that it has vouched for go on."""
_MIB = 1 << 20

HealthStatus = Literal["healthy", "degraded", "unhealthy"]


class Condition(Protocol):
    """What is known of a node without asking."""

    @property
    def gpus(self) -> Gpus: ...

    @property
    def load(self) -> Load: ...

    @property
    def chain(self) -> ChainReading: ...


class GpuBody(Struct, frozen=True):
    """The machine's first GPU. Null is what it does not tell, and all where there is none."""

    available: bool
    model: str | None = None
    vram_total: int | None = None
    """MiB."""
    vram_used: int | None = None
    """MiB."""
    temperature: float | None = None
    """Degrees Celsius."""


class HealthBody(Struct, frozen=True):
    """As clients read it."""

    status: HealthStatus
    issues: list[str]
    gpu: GpuBody
    gpu_available: bool
    model_loaded: bool
    active_sessions: int


class ReadyBody(Struct, frozen=True):
    """Whether sessions can be served now, and why not."""

    ready: bool
    reasons: list[str]


def health_body(status: HealthStatus, issues: Sequence[str], condition: Condition) -> HealthBody:
    load, gpu = condition.load, gpu_body(condition.gpus)
    return HealthBody(
        status=status,
        issues=list(issues),
        gpu=gpu,
        gpu_available=gpu.available,
        model_loaded=load.is_model_loaded,
        active_sessions=load.active_sessions,
    )


def gpu_body(gpus: Sequence[Gpu]) -> GpuBody:
    if not gpus:
        return GpuBody(available=False)
    first = gpus[0]
    celsius = first.temperature_celsius
    return GpuBody(
        available=True,
        model=first.model,
        vram_total=_mib(first.memory_total_bytes),
        vram_used=_mib(first.memory_used_bytes),
        temperature=int(celsius) if celsius is not None and celsius.is_integer() else celsius,
    )


def ready_body(vital_issues: Sequence[str], condition: Condition) -> ReadyBody:
    """Args:
    vital_issues: What is wrong with what nobody can be served without.
    """
    reasons = list(vital_issues)
    silent = condition.chain.silent_seconds
    if not condition.chain.is_reachable and silent > CHAIN_BORNE_SECONDS:
        reasons.append(f"chain: no answer for {silent:.0f} s")
    if condition.load.is_draining:
        reasons.append("the node is about to stop")
    return ReadyBody(not reasons, reasons)


def _mib(size: int | None) -> int | None:
    return None if size is None else size // _MIB
