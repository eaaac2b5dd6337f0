"""What sampled cells are worth.

Draws are independent and uniform among the N cells of a kind. If a fraction f of them deviates, k
draws miss all of them with probability (1 - f)^k. A deviation counts where the recomputed value
differs: docs/arithmetic.md lists what changes that is for.
"""

from __future__ import annotations

from math import ceil, log1p


def detection(fraction: float, draws: int) -> float:
    """1 - (1 - f)^k: how likely at least one of `draws` cells deviates.

    Args:
        fraction: of a kind's cells that deviate, 0 to 1.
    """
    return 1.0 - float((1.0 - fraction) ** draws)


def fraction_caught(probability: float, draws: int) -> float:
    """The fraction of a kind's cells from which on `draws` find a deviation that likely."""
    return 1.0 - float((1.0 - probability) ** (1.0 / draws))


def draws_needed(fraction: float, probability: float) -> int:
    """How many cells find that fraction that likely; both between 0 and 1, ends excluded."""
    return ceil(log1p(-probability) / log1p(-fraction))
