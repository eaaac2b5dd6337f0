"""Errors of an operator's commands.

OperatingError           OPR-000
├── NoLedgerHere         OPR-001   no node has kept a ledger in this folder
└── ChainUnclear         OPR-002   the chain does not answer, and the ledger does not tell which
"""

from __future__ import annotations

from ...errors import PlatformlessError


class OperatingError(PlatformlessError):
    """A command cannot do what the operator asked."""

    code = "OPR-000"


class NoLedgerHere(OperatingError):
    code = "OPR-001"
    outcome = "invalid"
    exit_status = 2
    advice = "run the command where the node runs, or set DATA_FOLDER or LEDGER_URL"


class ChainUnclear(OperatingError):
    code = "OPR-002"
    advice = "bring the chain's RPC endpoint back, then ask again"
