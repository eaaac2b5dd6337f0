"""How many cells of which kinds are drawn, and from which positions.

Every kind of cells but the choice of tokens can be drawn: a choice follows from a row of logits
only where the host decoded with a prompt's arithmetic, which no claim shows (docs/trace.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..arithmetic.operations import OPERATIONS, Operation
from ..trace.cells import Population, SampledKind, Span
from ..trace.challenge import Draws
from ..trace.layout import TraceLayout
from .errors import PlanInvalid

MAX_CELLS = 512
MAX_POSITIONS = 8192
COVERED_KINDS = tuple(kind for kind in SampledKind if kind is not SampledKind.CHOICE)
MOST_DRAWS = MAX_CELLS // len(COVERED_KINDS)
"""Of each kind, in one proof that has all kinds."""
_UNIT = 2.0**24

_OPERATIONS = {
    Operation.EMBEDDING: {SampledKind.EMBEDDING},
    Operation.NORM: {SampledKind.ATTN_NORM, SampledKind.FFN_NORM, SampledKind.RESULT_NORM},
    Operation.RESIDUAL: {SampledKind.FFN_INPUT, SampledKind.LAYER_OUT},
    Operation.WEIGHT_PRODUCT: {
        SampledKind.Q,
        SampledKind.K,
        SampledKind.V,
        SampledKind.ATTN_OUT,
        SampledKind.FFN_GATE,
        SampledKind.FFN_UP,
        SampledKind.FFN_OUT,
        SampledKind.LOGITS,
    },
    Operation.ROPE: {SampledKind.Q_ROPE, SampledKind.K_ROPE},
    Operation.KEY_PRODUCT: {SampledKind.KQ},
    Operation.SOFTMAX: {SampledKind.SOFTMAX},
    Operation.VALUE_PRODUCT: {SampledKind.KQV},
    Operation.GATE: {SampledKind.FFN_SWIGLU},
    Operation.CACHE: {SampledKind.V_CACHE},
}
OPERATION_OF = {kind: one for one, kinds in _OPERATIONS.items() for kind in kinds}


def tolerance_units(kind: SampledKind) -> int:
    """The bound of a kind's operation in units of 2^-24 of what it is measured by; 0: exact."""
    return int(OPERATIONS[OPERATION_OF[kind]].bound * _UNIT)


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """Cells of each kind, from consecutive positions.

    Raises:
        PlanInvalid: when there are none or too many, or a kind is not covered.
    """

    draws: tuple[tuple[SampledKind, int], ...]
    """Kinds in rising order, at least one cell of each."""
    covered: Span

    def __post_init__(self) -> None:
        numbers = [kind.value for kind, _ in self.draws]
        if numbers != sorted(set(numbers)):
            raise PlanInvalid("kinds out of order", got=numbers)
        for kind, count in self.draws:
            if kind not in OPERATION_OF:
                raise PlanInvalid("a kind that is not covered", got=kind.name)
            if count < 1:
                raise PlanInvalid(f"cells of {kind.name}", expected="at least 1", got=count)
        if not 1 <= self.cells <= MAX_CELLS:
            raise PlanInvalid("cells of a plan", expected=f"1 to {MAX_CELLS}", got=self.cells)
        last = self.covered.first + self.covered.count
        if self.covered.first < 0 or self.covered.count < 1 or last > MAX_POSITIONS:
            raise PlanInvalid(
                "covered positions", expected=f"1 to {MAX_POSITIONS}", got=self.covered
            )

    @classmethod
    def of(cls, draws: Mapping[SampledKind, int], covered: Span) -> SamplePlan:
        """Kinds in any order; those without cells are left out."""
        kept = sorted(((k, n) for k, n in draws.items() if n), key=lambda one: one[0].value)
        return cls(tuple(kept), covered)

    @classmethod
    def even(cls, cells: int, covered: Span) -> SamplePlan:
        """That many cells, spread over all kinds; what is left over goes to the first products."""
        each, over = divmod(cells, len(COVERED_KINDS))
        more = sorted(
            COVERED_KINDS, key=lambda k: (OPERATION_OF[k] is not Operation.WEIGHT_PRODUCT, k.value)
        )[:over]
        return cls.of({kind: each + (kind in more) for kind in COVERED_KINDS}, covered)

    @property
    def cells(self) -> int:
        return sum(count for _, count in self.draws)

    def challenged(self, layout: TraceLayout) -> tuple[Draws, ...]:
        """The plan as a challenge has it.

        Raises:
            PlanInvalid: when positions are covered that the trace does not have.
        """
        last = self.covered.first + self.covered.count
        if last > layout.positions:
            raise PlanInvalid(
                "covered positions", expected=f"at most {layout.positions}", got=self.covered
            )
        return tuple(
            Draws(Population.of(kind, layout.shape, (self.covered,)), count)
            for kind, count in self.draws
        )
