"""The plots of `benchmarks.cheats`: caught against k, measured and promised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from .cheats_curves import COUNTS, Measured, Point

mpl.use("Agg")
from matplotlib import pyplot

_GOOD = 0.95
_MARKS = "osv^D<>pPX*"


def plot(found: Sequence[Measured], folder: Path) -> None:
    """One file: cheats that few cells touch, left; kinds with different f, right."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 7.5), sharey=True)
    subtle = [one for one in found if one.points[0].promised < _GOOD]
    for number, one in enumerate(subtle):
        _curve(left, number, one.name, list(one.shares.values()), one.points)
    obvious = len(found) - len(subtle)
    left.set_title(f"All kinds together ({obvious} cheats that one cell a kind catches left out)")
    shown: dict[float, tuple[str, Measured]] = {}
    for one in subtle:
        for kind, share in one.shares.items():
            shown.setdefault(round(share, 3), (kind, one))
    for number, share in enumerate(sorted(shown, reverse=True)):
        kind, one = shown[share]
        label = f"{kind}, f = {one.shares[kind]:.2g}: {one.name}"
        _curve(right, number, label, [one.shares[kind]], one.of_kinds[kind])
    right.set_title("One kind alone")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(COUNTS, [str(k) for k in COUNTS])
        axes.set_xlabel("k, cells of each kind")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    left.set_ylabel("challenges that catch it")
    figure.suptitle("Points: measured, with 95 % intervals. Lines: 1 - product of (1 - f)^k")
    figure.tight_layout()
    figure.savefig(folder / "cheats.png", dpi=110)
    pyplot.close(figure)


def _curve(
    axes: Any, number: int, label: str, shares: Sequence[float], points: Sequence[Point]
) -> None:
    ks = np.geomspace(COUNTS[0], COUNTS[-1], 200)
    colour = mpl.colormaps["tab20"](number * 2 % 20 + number // 10)
    promised = 1 - math.prod(1 - share for share in shares) ** ks
    axes.plot(ks, promised, color=colour, linewidth=1)
    rates = np.array([point.rate for point in points])
    errors = np.abs(np.array([point.interval() for point in points]).T - rates)
    mark = _MARKS[number % len(_MARKS)]
    axes.errorbar(COUNTS, rates, errors, fmt=mark, ms=4, color=colour, label=label)
