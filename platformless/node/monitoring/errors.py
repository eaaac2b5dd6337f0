"""Errors of a node's monitoring.

MonitoringError      NOD-900
└── TokenNeeded      NOD-901   metrics are for those who show METRICS_TOKEN
"""

from __future__ import annotations

from ..errors import NodeError


class MonitoringError(NodeError):
    """What the node tells about itself cannot be had."""

    code = "NOD-900"


class TokenNeeded(MonitoringError):
    code = "NOD-901"
    advice = "send METRICS_TOKEN as `Authorization: Bearer …`"
