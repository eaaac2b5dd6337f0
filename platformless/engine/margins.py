"""How far the model was from choosing a token: the measure of a statistical replay.

The *margin* of a token, in logits, is twice the least ε such that moving every logit by at most ε
can make the sampler choose it: the largest change of a difference of two logits that is needed.
The chosen token's margin is 0. Greedy, it is the largest logit minus the token's own.

With a draw u in [0, 1), temperature T and weights w = exp(logit / T) ordered by falling logit, the
token e with logit l is reachable at ε when low ≤ u < high, with q = exp(-ε / T):

    low     qB / (qB + R / q)     B: weights of what surely comes before e (logit > l + 2ε),
                                  R: weights of all others that may be left by the cuts
    high    1 - qA / (qA + S / q) A: weights of what surely comes after e (logit < l - 2ε) and is
                                  surely left by the cuts, S: weights of all that may come before

and every cut lets it through: top-k when l ≥ (k-th largest) - 2ε, min-p when l ≥ largest +
ln(min-p) - 2ε, top-p when the probability surely before it can be under top-p. All of these grow
with ε; the least is found by bisection.

Approximate, always in favour of the token: the bounds of A, B and of the cuts are taken as if they
could be reached together. Penalties are applied to the logits first and not moved with them. What
the arithmetic of `draw` and of llama.cpp's single precision rounds is below `SMALLEST_MARGIN`.
Hence moving each logit by at most ε only ever leads to a token whose margin is at most 2ε.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..protocol.transcript import Sampler
from .draw import DRAW_BITS, Logits

LARGEST_MARGIN = 64.0
"""Margins are cut off here; also that of a token that no change of logits lets through."""
SMALLEST_MARGIN = 2.0**-16
"""Of a token that was not chosen."""
_STEPS = 24
_ROUNDING = 2.0**-30
_Doubles = npt.NDArray[np.float64]


def margin(
    logits: Logits, token: int, chosen: int, sampler: Sampler, number: int, recent: Sequence[int]
) -> float:
    """The margin of `token` where the sampler chose `chosen`.

    Args:
        number: the draw of the position, as `draw.draw` gives it.
        recent: the tokens that penalties look at, the last ones of the context.
    """
    if token == chosen:
        return 0.0
    wide = penalised(logits, sampler, recent)
    if sampler.temperature == 0:
        found = float(wide.max() - wide[token])
    else:
        found = 2 * _least(_Choice.of(wide, token, sampler), number / 2**DRAW_BITS)
    return min(max(found, SMALLEST_MARGIN), LARGEST_MARGIN)


def penalised(logits: Logits, sampler: Sampler, recent: Sequence[int]) -> _Doubles:
    """Logits after the penalties for the tokens in `recent`, as llama.cpp applies them."""
    wide = logits.astype(np.float64)
    window = min(sampler.repeat_last_n, len(recent))
    if not window:
        return wide
    repeat = sampler.repeat_penalty or 1.0
    for token, count in Counter(recent[-window:]).items():
        value = wide[token]
        value = value * repeat if value <= 0 else value / repeat
        wide[token] = value - count * sampler.frequency_penalty - sampler.presence_penalty
    return wide


@dataclass(frozen=True, slots=True)
class _Choice:
    """The candidates by falling logit, and what was given of one of them."""

    sampler: Sampler
    logit: float
    """The token's own."""
    ranked: _Doubles
    """All logits, falling."""
    rising: _Doubles
    """-ranked, for searches."""
    mass: _Doubles
    """Sums of exp((logit - largest) / T) of the first 0, 1, 2… candidates."""
    plain: _Doubles
    """The same for T = 1: what top-p goes by."""

    @classmethod
    def of(cls, logits: _Doubles, token: int, sampler: Sampler) -> _Choice:
        rising = np.sort(-logits)
        below = -rising - -rising[0]
        mass = _sums(below / sampler.temperature)
        plain = _sums(below) if 0 < sampler.top_p < 1 else mass
        return cls(sampler, float(logits[token]), -rising, rising, mass, plain)

    def above(self, bound: float) -> int:
        """How many logits are greater."""
        return int(np.searchsorted(self.rising, -bound, side="left"))

    def from_on(self, bound: float) -> int:
        """How many logits are at least as great."""
        return int(np.searchsorted(self.rising, -bound, side="right"))

    def let_through(self, width: float) -> int | None:
        """How many candidates the cuts may leave when differences of logits may change by `width`;
        None when the token is not among them."""
        sampler, left = self.sampler, len(self.ranked)
        bound = -math.inf
        if 0 < sampler.top_k < left:
            left = sampler.top_k
            bound = float(self.ranked[left - 1]) - width
        if 0 < sampler.top_p < 1:
            total, share = float(self.plain[left]), math.exp(-width)
            most = sampler.top_p * total / (share * (1 - sampler.top_p) + sampler.top_p)
            first = int(np.searchsorted(self.plain, most * (1 + _ROUNDING), side="left")) - 1
            first = min(max(first, 0), left - 1)
            bound = max(bound, float(self.ranked[first]) - width)
        if sampler.min_p > 0:
            bound = max(bound, float(self.ranked[0]) + math.log(sampler.min_p) - width)
        bound -= _ROUNDING * abs(bound) if math.isfinite(bound) else 0
        return None if self.logit < bound else min(left, self.from_on(bound))

    def surely_left(self, width: float) -> int:
        """How many candidates the cuts leave whatever changes."""
        sampler, left = self.sampler, len(self.ranked)
        if 0 < sampler.top_k < left:
            left = self.above(float(self.ranked[sampler.top_k]) + width)
        if sampler.min_p > 0:
            bound = float(self.ranked[0]) + math.log(sampler.min_p) + width
            left = min(left, self.from_on(bound))
        if 0 < sampler.top_p < 1 and left:
            total = float(self.plain[min(len(self.ranked), sampler.top_k or len(self.ranked))])
            share = math.exp(width)
            most = sampler.top_p * total / (share * (1 - sampler.top_p) + sampler.top_p)
            left = min(left, int(np.searchsorted(self.plain, most, side="left")))
            ends = np.searchsorted(self.rising, self.rising[:left] + width, side="right")
            before = self.plain[ends] - np.diff(self.plain[: left + 1])
            left = int(np.count_nonzero(before < most))
        return left


def _least(choice: _Choice, drawn: float) -> float:
    """The least ε at which the token is reachable."""
    low, high = 0.0, LARGEST_MARGIN / 2
    if not _reachable(choice, drawn, high):
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _reachable(choice, drawn, middle):
            high = middle
        else:
            low = middle
    return high


def _reachable(choice: _Choice, drawn: float, epsilon: float) -> bool:
    width = 2 * epsilon
    left = choice.let_through(width)
    if left is None:
        return False
    mass, q = choice.mass, math.exp(-epsilon / choice.sampler.temperature)
    before = float(mass[min(choice.above(choice.logit + width), left)])
    rest = max(float(mass[left]) - before, _weight(choice))
    if q * before / (q * before + rest / q) > drawn + _ROUNDING:
        return False
    first_after = choice.from_on(choice.logit - width)
    surely = choice.surely_left(width)
    after = float(mass[surely] - mass[first_after]) if surely > first_after else 0.0
    others = max(float(mass[min(first_after, left)]), _weight(choice))
    return drawn < 1 - q * after / (q * after + others / q) + _ROUNDING


def _weight(choice: _Choice) -> float:
    return math.exp((choice.logit - float(choice.ranked[0])) / choice.sampler.temperature)


def _sums(exponents: _Doubles) -> _Doubles:
    sums = np.zeros(len(exponents) + 1)
    np.cumsum(np.exp(exponents), out=sums[1:])
    return sums
