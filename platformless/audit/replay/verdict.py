"""What follows from a replay: pure.

Exact: no token may differ. Statistical: the mean score of all tokens (`calibration`), and no
single token further off than a multiple of the largest honest margin ever measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .calibration import RULE_OF_THREE, Calibration, SamplerClass, bound_of_mean

EXACT_TOKENS = 50
"""Fewer are not called consistent: in exact replays every other model that was measured, the
nearest being the same one in eight bits, differed within 33 tokens (docs/replay.md)."""
REJECT_BELOW = 1e-6
"""p-value under which the mean score is not an honest host's."""


class Outcome(StrEnum):
    CONSISTENT = "consistent"
    REJECTED = "rejected"
    TOO_FEW_TOKENS = "too_few_tokens"
    """Nothing speaks against them, but they are too few to tell."""


class Rule(StrEnum):
    """What decided."""

    EXACT = "exact"
    MEAN = "mean_margin"
    SINGLE = "single_token"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Margins in logits; scores from 0 to 1."""

    outcome: Outcome
    rule: Rule
    tokens: int
    tokens_needed: int
    """Fewer are not called consistent."""
    mismatches: int
    """Tokens where the replay chooses another one."""
    mean_score: float
    p_value: float
    """Bound for the chance that an honest host has so large a mean score; in an exact replay 0 or
    1: honest tokens never differ."""
    reject_below: float
    largest_margin: float
    margin_limit: float
    """A token further off is rejected by itself (statistical; the widest of the classes used)."""
    false_positive_rate: float
    """Bound for the rule that decided, over the whole transcript."""
    thresholds: str
    """Where they come from."""

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome.value,
            "rule": self.rule.value,
            "tokens": self.tokens,
            "tokens_needed": self.tokens_needed,
            "mismatches": self.mismatches,
            "mean_score": self.mean_score,
            "p_value": self.p_value,
            "reject_below": self.reject_below,
            "largest_margin": self.largest_margin,
            "margin_limit": self.margin_limit,
            "false_positive_rate": self.false_positive_rate,
            "thresholds": self.thresholds,
        }


def judge_exact(margins: Sequence[float], calibration: Calibration) -> Verdict:
    """Zero margins are the same token: anything else is a mismatch."""
    mismatches = sum(one > 0 for one in margins)
    few = len(margins) < EXACT_TOKENS
    if mismatches:
        outcome = Outcome.REJECTED
    else:
        outcome = Outcome.TOO_FEW_TOKENS if few else Outcome.CONSISTENT
    return Verdict(
        outcome=outcome,
        rule=Rule.EXACT,
        tokens=len(margins),
        tokens_needed=EXACT_TOKENS,
        mismatches=mismatches,
        mean_score=_mean([calibration.score(one) for one in margins]),
        p_value=0.0 if mismatches else 1.0,
        reject_below=REJECT_BELOW,
        largest_margin=max(margins, default=0.0),
        margin_limit=0.0,
        false_positive_rate=0.0,
        thresholds="none: with these settings, on the same build and the same kind of processor, "
        "a replay has the host's bits",
    )


def judge_statistical(
    margins: Sequence[float], classes: Sequence[SamplerClass], calibration: Calibration
) -> Verdict:
    """`classes` has each token's."""
    counts = Counter(classes)
    scores = [calibration.score(one) for one in margins]
    bound = bound_of_mean(calibration, counts, sum(scores))
    single = any(
        one > calibration.limit(which) for one, which in zip(margins, classes, strict=True)
    )
    beyond = sum(n * RULE_OF_THREE / calibration.tokens(which) for which, n in counts.items())
    if bound.p_value < REJECT_BELOW:
        outcome, rule, rate = Outcome.REJECTED, Rule.MEAN, REJECT_BELOW
    elif single:
        outcome, rule, rate = Outcome.REJECTED, Rule.SINGLE, min(1.0, beyond)
    else:
        few = len(margins) < calibration.tokens_for_a_verdict
        outcome = Outcome.TOO_FEW_TOKENS if few else Outcome.CONSISTENT
        rule, rate = Rule.MEAN, REJECT_BELOW
    measured = sum(calibration.tokens(which) for which in counts)
    return Verdict(
        outcome=outcome,
        rule=rule,
        tokens=len(margins),
        tokens_needed=calibration.tokens_for_a_verdict,
        mismatches=sum(one > 0 for one in margins),
        mean_score=_mean(scores),
        p_value=bound.p_value,
        reject_below=REJECT_BELOW,
        largest_margin=max(margins, default=0.0),
        margin_limit=max((calibration.limit(which) for which in counts), default=0.0),
        false_positive_rate=rate,
        thresholds=f"{measured:,} tokens of honest hosts, {calibration.model}, {calibration.build}",
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
