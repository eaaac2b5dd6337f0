"""The plots of `benchmarks.cheats`: caught against k, measured and promised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from .cheats_curves import COUNTS, Measured

mpl.use("Agg")
from matplotlib import pyplot

_GOOD = 0.95


def plot(found: Sequence[Measured], folder: Path) -> None:
    """One file: cheats that few cells touch, left; kind by kind, right."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5.5), sharey=True)
    ks = np.geomspace(COUNTS[0], COUNTS[-1], 200)
    subtle = [one for one in found if one.points[0].promised < _GOOD]
    for number, one in enumerate(subtle):
        _curve(left, ks, f"C{number % 10}", one.name, one.shares.values(), one)
    obvious = len(found) - len(subtle)
    left.set_title(
        f"All kinds together ({obvious} cheats caught by the first cells left out)", fontsize=10
    )
    shown: dict[float, str] = {}
    for one in subtle:
        for kind, share in one.shares.items():
            shown.setdefault(round(share, 4), f"{kind}, {one.name}")
    for number, (share, label) in enumerate(sorted(shown.items(), reverse=True)[:8]):
        right.plot(ks, 1 - (1 - share) ** ks, color=f"C{number}", label=f"f = {share:.4f}: {label}")
    right.set_title("One kind alone, by the formula", fontsize=10)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("k, cells of each kind")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    left.set_ylabel("challenges that catch it")
    figure.suptitle("Points: measured, with 95 % intervals. Lines: 1 - product of (1 - f)^k")
    figure.tight_layout()
    figure.savefig(folder / "cheats.png", dpi=110)
    pyplot.close(figure)


def _curve(axes, ks, colour: str, label: str, shares, one: Measured) -> None:  # type: ignore[no-untyped-def]
    missed = np.ones_like(ks)
    for share in shares:
        missed *= (1 - share) ** ks
    axes.plot(ks, 1 - missed, color=colour, linewidth=1)
    rates = np.array([point.rate for point in one.points])
    bounds = np.array([point.interval() for point in one.points]).T
    errors = np.abs(bounds - rates)
    axes.errorbar(
        [point.k for point in one.points], rates, errors, fmt="o", ms=4, color=colour, label=label
    )
