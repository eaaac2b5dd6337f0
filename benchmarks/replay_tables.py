"""The tables of `benchmarks.replay`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from .replay_data import Replayed
from .replay_figures import WINDOWS, AttackFigures, HonestFigures
from .replay_speed import Pair, median_of


def exact_line(transcripts: Sequence[Replayed]) -> str:
    tokens = sum(len(one.margins) for one in transcripts)
    wrong = sum(m > 0 for one in transcripts for m in one.margins)
    return (
        f"Exact replays of honest hosts: {len(transcripts)} transcripts, {tokens:,} tokens, "
        f"{wrong} chosen otherwise."
    )


def honest_table(figures: Sequence[HonestFigures]) -> str:
    lines = [
        "| honest host, statistical replay | sampler | transcripts | tokens | chosen otherwise "
        "| mean margin | 99 % | largest | rejected | least p |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in figures:
        lines.append(
            f"| {one.setup} | {one.sampler} | {one.transcripts} | {one.tokens:,} "
            f"| {one.mismatches / one.tokens:.2%} | {one.mean_margin:.5f} | {one.p99:.3f} "
            f"| {one.largest:.3f} | {one.rejected} | {one.least_p:.2g} |"
        )
    transcripts = sum(one.transcripts for one in figures)
    rejected = sum(one.rejected for one in figures)
    tokens = sum(one.tokens for one in figures)
    lines.append(
        f"\nHeld out: {rejected} of {transcripts} honest transcripts ({tokens:,} tokens) rejected."
    )
    return "\n".join(lines)


def attack_table(figures: Sequence[AttackFigures]) -> str:
    windows = " | ".join(f"rejected, AUC at {size}" for size in WINDOWS)
    lines = [
        "| what the host did | sampler | tokens | chosen otherwise | mean margin "
        "| exact: caught, tokens | statistical: caught | by the mean, tokens | by one token "
        f"| {windows} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|" + "---:|" * len(WINDOWS),
    ]
    for one in figures:
        cells = [
            f"{one.rejected_at[size]:.0%}, {one.auc_at[size]:.3f}" if size in one.auc_at else "-"
            for size in WINDOWS
        ]
        lines.append(
            f"| {one.name} | {one.sampler} | {one.tokens:,} | {one.mismatch_share:.1%} "
            f"| {one.mean_margin:.4f} | {one.exact_caught} of {one.transcripts}, "
            f"{_tokens(one.exact_tokens)} | {one.caught} of {one.transcripts} "
            f"| {one.mean_caught}, {_tokens(one.mean_tokens)} | {one.single_caught} "
            f"| {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def toploc_table(found: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| first answers, greedy | TOPLOC: proofs of 32 tokens | of which rejected "
        "| exponents off of 128, median | mantissas off, mean | TOPLOC: answers caught "
        "| statistical replay | exact replay |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys(one["name"] for one in found):
        some = [one for one in found if one["name"] == name]
        rejected = [bad for one in some for bad in one["rejected"]]
        exponents = [value for one in some for value in one["exponents"]]
        means = [min(value, 1e9) for one in some for value in one["mean"]]
        lines.append(
            f"| {name} | {len(rejected)} | {sum(rejected)} "
            f"| {statistics.median(exponents):.0f} | {statistics.median(means):.1f} "
            f"| {sum(any(one['rejected']) for one in some)} of {len(some)} "
            f"| {sum(one['statistical_replay'] for one in some)} "
            f"| {sum(one['exact_replay'] for one in some)} |"
        )
    return "\n".join(lines)


def speed_table(pairs: Sequence[Pair]) -> str:
    lines = [
        "| completion tokens a second, median | tokens | generated, 1 thread "
        "| generated, 2 threads | replayed exactly | times | replayed statistically | times |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for sampler in dict.fromkeys(pair.sampler for pair in pairs):
        one = median_of(list(pairs), sampler)
        lines.append(
            f"| {sampler} | {one.tokens} | {one.generated:.0f} | {one.generated_two:.0f} "
            f"| {one.exact:.0f} | {one.exact / one.generated:.1f} | {one.statistical:.0f} "
            f"| {one.statistical / one.generated_two:.1f} |"
        )
    return "\n".join(lines)


def _tokens(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
