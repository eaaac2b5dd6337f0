"""Errors of the supervisor.

SupervisorError          SUP-000
├── ServiceNotStarted    SUP-001   the program of a service cannot be run
├── ServiceGaveUp        SUP-002   a service ended again and again
└── AlreadySupervised    SUP-003   another supervisor runs on this data folder
"""

from __future__ import annotations

from ...errors import PlatformlessError


class SupervisorError(PlatformlessError):
    """What belongs to one machine's node cannot be kept running."""

    code = "SUP-000"


class ServiceNotStarted(SupervisorError):
    code = "SUP-001"


class ServiceGaveUp(SupervisorError):
    code = "SUP-002"
    advice = "its last lines say why; repair that and start anew"


class AlreadySupervised(SupervisorError):
    code = "SUP-003"
    advice = "stop the other one, or set another DATA_FOLDER"
