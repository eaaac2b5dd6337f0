"""The tables of `benchmarks.cheats`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .cheats_curves import COUNTS, Measured, Point
from .cheats_grinding import log_tries
from .cheats_honest import Honest
from .cheats_verdicts import KINDS

_SHOWN = (1, 4, 16, 32, 64, 256)
_GRINDING = (4, 32, 256)


def tables(honest: Sequence[Honest], cheats: Sequence[Measured], facts: dict[str, Any]) -> str:
    parts = [
        honest_table(honest),
        share_table(cheats),
        curve_table(cheats),
        kind_table(cheats),
        grinding_table(cheats, facts["grinding"]),
        f"Root of another run: {facts['foreign_root'][1]} of {facts['foreign_root'][0]} openings"
        " rejected (TRC-003).",
        f"{facts['llama_build']}, {facts['reference']}. {facts['machine']}",
    ]
    return "\n\n".join(parts)


def honest_table(found: Sequence[Honest]) -> str:
    lines = [
        "| honest transcript | tokens | threads | at once | challenges | cells | rejected "
        "| a cell, ms | one challenge, bytes |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        lines.append(
            f"| {one.question} | {one.tokens} | {one.threads} | {one.ubatch_tokens} "
            f"| {one.challenges} | {one.cells:,} | {one.rejected} "
            f"| {one.check_seconds / one.cells * 1e3:.1f} | {one.opened_bytes:,} |"
        )
    total = [sum(getattr(one, name) for one in found) for name in _TOTALS]
    lines.append(f"| all | | | | {total[0]:,} | {total[1]:,} | {total[2]} | | |")
    return "\n".join(lines)


_TOTALS = ("challenges", "cells", "rejected")


def share_table(found: Sequence[Measured]) -> str:
    lines = [
        "| cheat | kinds that deviate, and f | answer not the committed logits' first "
        "| registered model chooses otherwise | cells checked, rejected |",
        "|---|---|---:|---:|---:|",
    ]
    for one in found:
        kinds = ", ".join(f"{kind} {_share(share)}" for kind, share in one.shares.items())
        if len(one.shares) == len(KINDS) - 1:
            least = min(one.shares, key=lambda kind: one.shares[kind])
            kinds = f"all but V_CACHE; least {least} {_share(one.shares[least])}"
        lines.append(
            f"| {one.name} | {kinds} | {one.choices:.0%} | {one.otherwise:.0%} "
            f"| {one.checked}, {one.rejected} |"
        )
    return "\n".join(lines)


def curve_table(found: Sequence[Measured]) -> str:
    head = " | ".join(f"k = {k}" for k in _SHOWN)
    lines = [
        f"| caught / promised (95 % interval) | challenges | {head} |",
        "|---|---:|" + "---:|" * len(_SHOWN),
    ]
    for one in found:
        points = [point for point in one.points if point.k in _SHOWN]
        cells = " | ".join(_point(point) for point in points)
        lines.append(f"| {one.name} | {points[0].challenges:,} | {cells} |")
    return "\n".join(lines)


def kind_table(found: Sequence[Measured]) -> str:
    """At one k, kind by kind."""
    k = 32
    lines = [
        f"| cheat | kind | f | k for 99 % | caught at k = {k} | promised |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for one in found:
        for kind, points in one.of_kinds.items():
            share = one.shares[kind]
            if share > 0.95:
                continue
            point = points[COUNTS.index(k)]
            needed = math.ceil(math.log(0.01) / math.log1p(-share))
            lines.append(
                f"| {one.name} | {kind} | {_share(share)} | {needed:,} | {point.rate:.1%} "
                f"| {point.promised:.1%} |"
            )
    lines.append("\nKinds with f above 0.95 are left out: one cell or two catch those.")
    return "\n".join(lines)


def grinding_table(found: Sequence[Measured], ground: dict[str, Any]) -> str:
    head = " | ".join(f"roots, k = {k}" for k in _GRINDING)
    lines = [f"| cheat | {head} |", "|---|" + "---:|" * len(_GRINDING)]
    for one in found:
        tries = " | ".join(_tries(log_tries(one, k)) for k in _GRINDING)
        lines.append(f"| {one.name} | {tries} |")
    lines.append(
        f"\nTried: {ground['name']}, k = {ground['k']}, {ground['found']} known beacons:"
        f" {ground['tries']:.1f} roots on average, {ground['expected_tries']:.1f} expected."
        f" One process of Python makes {ground['roots_a_second']:,.0f} roots a second."
    )
    return "\n".join(lines)


def _point(point: Point) -> str:
    low, high = point.interval()
    return f"{point.rate:.1%} / {_percent(point.promised)} ({low:.0%} to {high:.0%})"


def _percent(value: float) -> str:
    return f"{value:.1%}" if value == 0 or value > 5e-4 else f"{value:.0e}"


def _share(value: float) -> str:
    if value < 1e-3:
        return f"{value:.1e}"
    return "1" if value == 1 else f"{min(value, 0.9999):.4f}"


def _tries(log: float) -> str:
    if math.isinf(log):
        return "none passes"
    return f"{10**log:,.1f}" if log < 6 else f"10^{log:.1f}"
