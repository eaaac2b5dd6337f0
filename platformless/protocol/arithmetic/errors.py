"""Errors of the reference arithmetic.

ArithmeticRefused            ARI-000
├── NotFinite                ARI-001   an infinity or a NaN among opened or computed values
├── Denormal                 ARI-002   a denormal single among opened or computed values
├── ShapesDiffer             ARI-003   opened values of a length that the kind does not have
├── TypeNotSupported         ARI-004   a tensor type without reference arithmetic
├── ReferenceUnknown         ARI-005   a build of llama.cpp, or a name, without reference arithmetic
└── CellRejected             ARI-006   the committed value is not what the opened values give
"""

from __future__ import annotations

from ..errors import ProtocolError


class ArithmeticRefused(ProtocolError):
    """A cell that cannot be recomputed, or is not what it should be."""

    code = "ARI-000"


class NotFinite(ArithmeticRefused):
    code = "ARI-001"


class Denormal(ArithmeticRefused):
    code = "ARI-002"


class ShapesDiffer(ArithmeticRefused):
    code = "ARI-003"


class TypeNotSupported(ArithmeticRefused):
    code = "ARI-004"
    advice = "use a model whose matrices are of a type in docs/arithmetic.md"


class ReferenceUnknown(ArithmeticRefused):
    code = "ARI-005"
    advice = "use a build of llama.cpp for x86-64 with AVX2, FMA and F16C"


class CellRejected(ArithmeticRefused):
    """The host's trace is not the arithmetic of its weights."""

    code = "ARI-006"
    outcome = "rejected"
    exit_status = 1
