"""From margins to figures: the calibration, false positives, and how soon cheating shows."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from platformless.audit.replay.calibration import (
    Calibration,
    SamplerClass,
    SetupCounts,
    bound_of_mean,
)
from platformless.audit.replay.verdict import REJECT_BELOW, Outcome, judge_statistical

from .replay_data import AttackReplays, Replayed

FORMAT = "replay-calibration/1"
CAP = 1.0
EDGES = [0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
LIMIT_FACTOR = 3.0
TOKENS_FOR_A_VERDICT = 200
WINDOWS = (100, 300)
"""Tokens from the start, for which detection is told."""


def calibrate(honest: Mapping[str, Sequence[Replayed]], model: str, build: str) -> Calibration:
    classes: dict[SamplerClass, list[SetupCounts]] = {which: [] for which in SamplerClass}
    for setup, transcripts in honest.items():
        for which in SamplerClass:
            margins = [m for one in transcripts if one.sampler == which for m in one.margins]
            if any(margins):  # a setup that is replayed bit for bit teaches nothing
                classes[which].append(SetupCounts(setup, _counts(margins), max(margins)))
    return Calibration(
        format=FORMAT,
        model=model,
        build=build,
        cap=CAP,
        edges=EDGES,
        limit_factor=LIMIT_FACTOR,
        tokens_for_a_verdict=TOKENS_FOR_A_VERDICT,
        classes=classes,
    )


def write_calibration(calibration: Calibration) -> bytes:
    return msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n"


@dataclass(frozen=True)
class HonestFigures:
    """Of one setup, in one class of samplers."""

    setup: str
    sampler: str
    transcripts: int
    tokens: int
    mismatches: int
    mean_margin: float
    p99: float
    largest: float
    rejected: int
    """Transcripts, by the released calibration."""
    least_p: float


def honest_figures(
    honest: Mapping[str, Sequence[Replayed]], calibration: Calibration
) -> list[HonestFigures]:
    found = []
    for setup, transcripts in honest.items():
        for which in SamplerClass:
            some = [one for one in transcripts if one.sampler == which]
            margins = [m for one in some for m in one.margins]
            if not margins:
                continue
            verdicts = [
                judge_statistical(one.margins, [which] * len(one.margins), calibration)
                for one in some
            ]
            found.append(
                HonestFigures(
                    setup,
                    which.value,
                    len(some),
                    len(margins),
                    sum(m > 0 for m in margins),
                    statistics.fmean(margins),
                    _quantile(margins, 0.99),
                    max(margins),
                    sum(one.outcome is Outcome.REJECTED for one in verdicts),
                    min(one.p_value for one in verdicts),
                )
            )
    return found


@dataclass(frozen=True)
class AttackFigures:
    """Tokens are completion tokens; None: never within the transcripts."""

    name: str
    sampler: str
    transcripts: int
    tokens: int
    mismatch_share: float
    mean_margin: float
    exact_caught: int
    exact_tokens: float | None
    """Median of the tokens until the first that differs, of those caught."""
    caught: int
    mean_tokens: float | None
    """Median of the tokens until the mean rejects, of those that it rejects."""
    mean_caught: int
    single_caught: int
    rejected_at: dict[int, float]
    """Share of transcripts that are rejected by their first so many tokens."""
    auc_at: dict[int, float]
    """Chance that these have a larger mean score than as many of an honest host."""


def attack_figures(
    attack: AttackReplays, honest: Iterable[Replayed], calibration: Calibration
) -> AttackFigures:
    which = SamplerClass(attack.sampler)
    honest_margins = [one.margins for one in honest if one.sampler == attack.sampler]
    margins = [one.margins for one in attack.statistical]
    everything = [m for some in margins for m in some]
    exact = [t for one in attack.exact if (t := _first(one.margins)) is not None]
    by_mean = [t for some in margins if (t := _until(some, which, calibration)) is not None]
    limit = calibration.limit(which)
    by_single = [max(some) > limit for some in margins]
    verdicts = [judge_statistical(some, [which] * len(some), calibration) for some in margins]
    rejected_at, auc_at = {}, {}
    for size in WINDOWS:
        windows = [some[:size] for some in margins if len(some) >= size]
        if not windows:
            continue
        bad = [
            judge_statistical(one, [which] * size, calibration).outcome is Outcome.REJECTED
            for one in windows
        ]
        rejected_at[size] = sum(bad) / len(bad)
        auc_at[size] = _auc(
            [_score(one, calibration) for one in windows],
            [_score(one, calibration) for one in _windows(honest_margins, size)],
        )
    return AttackFigures(
        attack.name,
        attack.sampler,
        len(margins),
        len(everything),
        sum(m > 0 for m in everything) / len(everything),
        statistics.fmean(everything),
        len(exact),
        statistics.median(exact) if exact else None,
        sum(one.outcome is Outcome.REJECTED for one in verdicts),
        statistics.median(by_mean) if by_mean else None,
        len(by_mean),
        sum(by_single),
        rejected_at,
        auc_at,
    )


def _first(margins: Sequence[float]) -> int | None:
    return next((at + 1 for at, one in enumerate(margins) if one > 0), None)


def _until(margins: Sequence[float], which: SamplerClass, calibration: Calibration) -> int | None:
    """Tokens after which the mean is rejected."""
    total = 0.0
    for at, one in enumerate(margins):
        total += calibration.score(one)
        if one and bound_of_mean(calibration, {which: at + 1}, total).p_value < REJECT_BELOW:
            return at + 1
    return None


def _counts(margins: Sequence[float]) -> list[int]:
    counts = [0] * (len(EDGES) + 1)
    for one in margins:
        counts[0 if one == 0 else 1 + bisect.bisect_left(EDGES, min(one / CAP, 1.0))] += 1
    return counts


def _windows(margins: Iterable[Sequence[float]], size: int) -> list[Sequence[float]]:
    """Honest tokens one transcript after another, cut into so many each."""
    everything = [one for some in margins for one in some]
    return [
        everything[start : start + size] for start in range(0, len(everything) - size + 1, size)
    ]


def _score(margins: Sequence[float], calibration: Calibration) -> float:
    return statistics.fmean(calibration.score(one) for one in margins)


def _auc(bad: Sequence[float], good: Sequence[float]) -> float:
    pairs = [(b > g) + 0.5 * (b == g) for b in bad for g in good]
    return statistics.fmean(pairs) if pairs else float("nan")


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
