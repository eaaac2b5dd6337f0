"""Errors of the broker.

BrokerError                 BRK-000
├── BrokerUrlRefused        BRK-001   a URL that names no broker
└── EmbeddedBrokerUnusable  BRK-002   the embedded broker cannot run here (valkey.py)
"""

from __future__ import annotations

from ...errors import PlatformlessError


class BrokerError(PlatformlessError):
    """The broker cannot be used."""

    code = "BRK-000"


class BrokerUrlRefused(BrokerError):
    code = "BRK-001"
    outcome = "invalid"
    exit_status = 2
