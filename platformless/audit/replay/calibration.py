"""What honest hosts look like in a statistical replay, measured (`benchmarks.replay --calibrate`).

The score of a token is its margin (`engine.margins`), cut off at `cap` and divided by it. For each
class of samplers and each setup of a host that was measured, `calibration.json` has how many
scores fell into each bin. From these comes a bound for the mean score of n tokens (Chernoff):

    P(sum of scores >= s) <= exp(sum over classes of n_c L_c(t) - t s)     for every t >= 0
    L_c(t) = log of the largest mean of exp(t x) of any setup

with every score at the upper edge of its bin. What was never seen in N tokens of a class is held
possible: a share of 3 / N (rule of three, 95 %) of the tokens counts as a score of 1.
Neighbouring tokens are taken as independent; the held-out transcripts show what that is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

import msgspec

from ...decoding import decode_json
from ...protocol.transcript import Sampler

RULE_OF_THREE = 3.0
_NARROW = 0.8001  # single precision is what it is compared with
_TILTS = tuple(0.25 * 1.12**step for step in range(56))  # up to about 130


class SamplerClass(StrEnum):
    """Samplers that rounding disturbs about alike."""

    GREEDY = "greedy"
    NARROW = "narrow"
    """Drawn from few candidates, that some cut leaves, at a temperature of at most `_NARROW`."""
    WIDE = "wide"
    """Drawn from many."""

    @classmethod
    def of(cls, sampler: Sampler) -> SamplerClass:
        if sampler.temperature == 0:
            return cls.GREEDY
        cut = sampler.top_k or 0 < sampler.top_p < 1 or sampler.min_p
        return cls.NARROW if cut and sampler.temperature <= _NARROW else cls.WIDE


class SetupCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Honest tokens of one setup of a host, in one class."""

    setup: str
    counts: list[int]
    """Of scores of exactly 0, then of each bin."""
    largest: float
    """Largest margin, in logits."""


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    model: str
    """File and its SHA-256."""
    build: str
    """The llama.cpp of the replays."""
    cap: float
    """Logits; a margin from there on has score 1."""
    edges: list[float]
    """Upper edges of the bins, rising; the last is 1."""
    limit_factor: float
    """A single token is rejected from this multiple of the largest honest margin on."""
    tokens_for_a_verdict: int
    """Fewer tokens are not called consistent."""
    classes: dict[SamplerClass, list[SetupCounts]]

    def tokens(self, which: SamplerClass) -> int:
        """Honest tokens that were measured."""
        return sum(sum(setup.counts) for setup in self.classes[which])

    def largest(self, which: SamplerClass) -> float:
        return max(setup.largest for setup in self.classes[which])

    def limit(self, which: SamplerClass) -> float:
        """Margin from which on a single token is not the model's."""
        return self.limit_factor * self.largest(which)

    def score(self, margin: float) -> float:
        return min(margin / self.cap, 1.0)

    def log_moment(self, which: SamplerClass, tilt: float) -> float:
        """L_c(t) above."""
        unseen = min(1.0, RULE_OF_THREE / self.tokens(which))
        values = (0.0, *self.edges)
        worst = max(
            sum(n * math.exp(tilt * x) for n, x in zip(one.counts, values, strict=True))
            / sum(one.counts)
            for one in self.classes[which]
        )
        return math.log((1 - unseen) * worst + unseen * math.exp(tilt))


@dataclass(frozen=True, slots=True)
class MeanBound:
    """Chance that honest tokens have so large a mean score."""

    p_value: float
    tilt: float
    """The t that gives it."""


def bound_of_mean(
    calibration: Calibration, tokens: Mapping[SamplerClass, int], total_score: float
) -> MeanBound:
    """`total_score` is the sum of all scores."""
    best = MeanBound(1.0, 0.0)
    for tilt in _TILTS:
        exponent = -tilt * total_score + sum(
            count * calibration.log_moment(which, tilt) for which, count in tokens.items() if count
        )
        p_value = math.exp(min(0.0, exponent))
        if p_value < best.p_value:
            best = MeanBound(p_value, tilt)
    return best


@cache
def released_calibration() -> Calibration:
    """The one of this release."""
    data = files(__package__).joinpath("calibration.json").read_bytes()
    return decode_json(data, Calibration)
