"""Errors of sampled cells.

SampleError              SMP-000
├── PlanInvalid          SMP-001   no cells, too many, kinds out of order or not covered
├── FactsInvalid         SMP-002   a model that a claim cannot name
└── WitnessIncomplete    SMP-003   opened rows that are not those of the cells
"""

from __future__ import annotations

from ..errors import ProtocolError


class SampleError(ProtocolError):
    """Cells that cannot be sampled."""

    code = "SMP-000"


class PlanInvalid(SampleError):
    code = "SMP-001"


class FactsInvalid(SampleError):
    code = "SMP-002"


class WitnessIncomplete(SampleError):
    code = "SMP-003"
