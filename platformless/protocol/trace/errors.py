"""Errors of traces.

TraceError              TRC-000
├── TraceShapeInvalid   TRC-001   sizes that no llama model has, or a place outside of the trace
├── TraceNotInOrder     TRC-002   rows that do not follow those before them, or are missing
├── OpeningRejected     TRC-003   an opened row that does not belong to the root
└── ChallengeInvalid    TRC-004   cells that cannot be drawn
"""

from __future__ import annotations

from ..errors import ProtocolError


class TraceError(ProtocolError):
    """A trace, or a part of one, breaks its rules."""

    code = "TRC-000"


class TraceShapeInvalid(TraceError):
    code = "TRC-001"


class TraceNotInOrder(TraceError):
    code = "TRC-002"


class OpeningRejected(TraceError):
    code = "TRC-003"
    outcome = "rejected"
    exit_status = 1


class ChallengeInvalid(TraceError):
    code = "TRC-004"
    outcome = "rejected"
    exit_status = 1
