"""The operations that cells are recomputed by, what each needs, how exact it is, and the names of
the arithmetic.

Numbers and names are stable: claims and guests use them. Several nodes of a graph share an
operation: all weight products are one, whatever their matrix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from .errors import ReferenceUnknown


class Operation(IntEnum):
    """How a cell is recomputed. The numbers stand in claims."""

    EMBEDDING = 1  # a token's row of the embedding tensor
    NORM = 2  # RMSNorm times its weight
    RESIDUAL = 3  # the sum of two rows
    WEIGHT_PRODUCT = 4  # a product with a row of a quantised matrix, logits too
    ROPE = 5  # the rotation of one head of a query or a key
    KEY_PRODUCT = 6  # a query times a key
    SOFTMAX = 7  # one head's weights of all positions
    VALUE_PRODUCT = 8  # one head's weights times one element of all values
    GATE = 9  # silu of one row times another
    CACHE = 10  # a key or a value as the cache holds it, a half


class Reference(StrEnum):
    """The name of a reference arithmetic: builds with other vectors have other last bits."""

    AVX2 = "ggml-x86-avx2-1"
    AVX512 = "ggml-x86-avx512-1"

    @property
    def lanes(self) -> int:
        """Singles that are kept side by side in products of halves and in the softmax's sum."""
        return 16 if self is Reference.AVX512 else 8

    @classmethod
    def of_build(cls, system_info: str) -> Reference:
        """The arithmetic of a build of llama.cpp, by what `llama_print_system_info` says of it.

        Raises:
            ReferenceUnknown: for a build that none of them describes.
        """
        said = set(re.findall(r"(\w+)(?: = 1)?(?: \||\s*$)", system_info))
        needed = {"AVX2", "FMA", "F16C", "LLAMAFILE"}
        if not needed <= said:
            raise ReferenceUnknown(
                "no reference arithmetic for this build of llama.cpp",
                expected=", ".join(sorted(needed)),
                got=system_info.strip(),
            )
        return cls.AVX512 if "AVX512" in said else cls.AVX2

    @classmethod
    def named(cls, name: str) -> Reference:
        """
        Raises:
            ReferenceUnknown: for another name.
        """
        try:
            return cls(name)
        except ValueError:
            names = ", ".join(cls)
            raise ReferenceUnknown(
                "no reference arithmetic of that name", expected=names, got=name[:64]
            ) from None


@dataclass(frozen=True, slots=True)
class OperationFacts:
    """What a claim says of an operation."""

    opened: tuple[str, ...]
    """Rows of the trace."""
    of_model: tuple[str, ...]
    """Rows of the weights, and numbers of the model's header."""
    bound: float
    """0: bit for bit. Else the greatest deviation, in parts of |x0 * cos| + |x1 * sin| (`rope`)."""

    @property
    def exact(self) -> bool:
        return self.bound == 0


ROPE_BOUND = 5 * 2.0**-24
"""Derived in `rope`."""

OPERATIONS: dict[Operation, OperationFacts] = {
    Operation.EMBEDDING: OperationFacts(("token", "embedding"), ("row of the token",), 0),
    Operation.NORM: OperationFacts(("input row", "output"), ("weight row", "epsilon"), 0),
    Operation.RESIDUAL: OperationFacts(("two elements", "their sum"), (), 0),
    Operation.WEIGHT_PRODUCT: OperationFacts(("input row", "output element"), ("one row",), 0),
    Operation.ROPE: OperationFacts(
        ("two elements of a head", "the two rotated", "position"),
        ("rotated dimensions", "scale of the angle", "style"),
        ROPE_BOUND,
    ),
    Operation.KEY_PRODUCT: OperationFacts(("rotated query", "rotated key", "score"), (), 0),
    Operation.SOFTMAX: OperationFacts(
        ("scores of one head up to the position", "its weights"), ("scale of the scores",), 0
    ),
    Operation.VALUE_PRODUCT: OperationFacts(
        ("weights of one head", "one element of every value up to the position", "output element"),
        (),
        0,
    ),
    Operation.GATE: OperationFacts(("gate", "up", "output element"), (), 0),
    Operation.CACHE: OperationFacts(("element", "its half"), (), 0),
}
