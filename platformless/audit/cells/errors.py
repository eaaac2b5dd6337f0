"""Errors of the check of cells.

CellProblem              CEL-000
├── CellDeviates         CEL-001   the committed element is not what the opened rows give
├── CellUnusable         CEL-002   opened values that no honest run has: infinities, denormals
├── RowNotOpened         CEL-003   a row that the cell is recomputed from is missing
├── TokenMissing         CEL-004   the transcript has no token there, or none of this vocabulary
└── ForeignWeights       CEL-005   the model file is not the one that the trace is of
"""

from __future__ import annotations

from ...errors import PlatformlessError
from ...protocol.trace.cells import Cell


class CellProblem(PlatformlessError):
    """A cell that is wrong, or cannot be checked."""

    code = "CEL-000"


class CellDeviates(CellProblem):
    """The host's trace is not the arithmetic of the registered weights at this cell."""

    code = "CEL-001"
    outcome = "rejected"
    exit_status = 1

    def __init__(
        self, cell: Cell, expected_bits: int, got_bits: int, *, deviation: float | None = None
    ) -> None:
        self.cell = cell
        self.expected_bits = expected_bits
        """Of what the opened rows give: f32, of the V cache f16; of a choice, the token."""
        self.got_bits = got_bits
        self.deviation = deviation
        """Of a rotation: in parts of its measure (docs/arithmetic.md)."""
        off = "" if deviation is None else f", off by {deviation:.3e} of its measure"
        super().__init__(
            f"{place(cell)} is not what its rows give{off}",
            expected=f"{expected_bits:#010x}",
            got=f"{got_bits:#010x}",
        )


class CellUnusable(CellProblem):
    code = "CEL-002"
    outcome = "rejected"
    exit_status = 1


class RowNotOpened(CellProblem):
    code = "CEL-003"
    outcome = "rejected"
    exit_status = 1


class TokenMissing(CellProblem):
    code = "CEL-004"
    outcome = "invalid"


class ForeignWeights(CellProblem):
    code = "CEL-005"
    outcome = "invalid"
    advice = "check with the model file whose weights root the claim names"


def place(cell: Cell) -> str:
    """Where a cell is, for people."""
    layer = f" of layer {cell.layer}" if cell.kind.node.in_layers else ""
    key = f", key {cell.key}" if cell.kind.node.causal else ""
    return f"{cell.kind.name}{layer}, position {cell.position}, element {cell.element}{key}"
