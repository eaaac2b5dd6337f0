"""Errors of the demo.

DemoFailed                  DEM-000   a step did not do what it should
"""

from __future__ import annotations

from ..errors import NodeError


class DemoFailed(NodeError):
    code = "DEM-000"
    advice = "the node's log is in the demo's folder: keep it with --folder"
