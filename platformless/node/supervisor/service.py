"""What a supervisor runs: one program, when it counts as ready, how long it may take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ...retrying import Backoff

_BACKOFF = Backoff(first_seconds=0.2, longest_seconds=15.0)

Probe = Callable[[], Awaitable[bool]]
"""Whether a service is ready. Asked over and over; does not raise when it is not."""


@dataclass(frozen=True, slots=True)
class LineBeginning:
    """Ready with the first line of output that begins so."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Service:
    """A program that shall always run."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    """The whole of it. Not shown: secrets may be in it."""
    ready: Probe | LineBeginning | None = None
    """None: ready as soon as it is started."""
    start_seconds: float = 60.0
    """A service that is not ready by then is killed and started again."""
    stop_seconds: float = 10.0
    """How long it may go on after SIGTERM."""
    is_vital: bool = True
    """False: when it cannot be kept running, it rests, and the others go on without it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a service may end in a row, and the rests between its starts."""

    deaths: int = 5
    settled_seconds: float = 5.0
    """A service that has been ready for so long has started well: a row of deaths is over."""
    backoff: Backoff = _BACKOFF
    long_rest_seconds: float = 300.0
    """After so many deaths, for a service that is not vital."""


class ServiceState(Enum):
    """Where a service is in its life."""

    WAITING = "waiting"
    """Its turn to start has not come."""
    STARTING = "starting"
    """It runs and is not ready."""
    READY = "ready"
    """It runs and was ready once since it was started."""
    RESTING = "resting"
    """It ended and is started again after a rest."""
    STOPPING = "stopping"
    """It was asked to end."""
    STOPPED = "stopped"
    """It has ended and is not started again."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service at this moment."""

    name: str
    state: ServiceState
    process_id: int | None
    """None while it does not run."""
    restarts: int
