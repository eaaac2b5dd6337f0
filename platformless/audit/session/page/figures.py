"""Figures of a report as SVG: pure functions of numbers, no text of strangers in them.

Sizes are in SVG units; the page scales them. Colours are the page's CSS classes, and every figure
tells the same in words: nothing rests on colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 28
_MOST_POINTS = 2_000
_SMALLEST_MARGIN = 1e-3
"""In logits; smaller margins are drawn on the floor of the plot."""


@dataclass(frozen=True, slots=True)
class Step:
    """A checkpoint on the timeline."""

    time: int
    """Unix seconds; where unknown, the time before it."""
    tokens: int
    proven: bool


def timeline(steps: Sequence[Step], started: int) -> str:
    """Tokens billed over time as a curve of steps, each proven or not."""
    if not steps:
        return ""
    last = max(step.time for step in steps)
    total = sum(step.tokens for step in steps)
    x = _Scale(started, max(last, started + 1), _LEFT, WIDTH - _RIGHT)
    y = _Scale(0, max(total, 1), HEIGHT - _BOTTOM, _TOP)
    shapes, billed, at = [_frame(), *_tokens_axis(total, y)], 0, float(_LEFT)
    for step in _merged(steps):
        to = x(step.time)
        shapes.append(f'<path class="line" d="M{at:.1f} {y(billed):.1f}H{to:.1f}"/>')
        top = y(billed + step.tokens)
        kind = "proven" if step.proven else "unproven"
        shapes.append(
            f'<path class="{kind}" d="M{to:.1f} {y(billed):.1f}V{top:.1f}"/>'
            f'<circle class="{kind}" cx="{to:.1f}" cy="{top:.1f}" r="3"/>'
        )
        billed, at = billed + step.tokens, to
    shapes.append(_label(_LEFT, HEIGHT - 8, "start", "start of the session"))
    shapes.append(_label(WIDTH - _RIGHT, HEIGHT - 8, "end", f"{last - started:,} s later"))
    unproven = sum(step.tokens for step in steps if not step.proven)
    words = f"{len(steps):,} checkpoints bill {total:,} tokens; {unproven:,} of them are unproven"
    return _figure(words, shapes)


def shares(parts: Sequence[tuple[str, int]], words: str) -> str:
    """A bar that is divided in proportion; `parts` are CSS classes and units."""
    total = sum(units for _, units in parts) or 1
    shapes, at = [], 0.0
    for name, units in parts:
        width = WIDTH * units / total
        shapes.append(f'<rect class="{name}" x="{at:.1f}" y="0" width="{width:.1f}" height="24"/>')
        at += width
    return _figure(words, shapes, height=24)


def margins(values: Sequence[float], limit: float) -> str:
    """Margins of all tokens in their order, on a logarithmic scale; `limit` as a line."""
    if not values:
        return ""
    highest = max(*values, limit, 1.0)
    x = _Scale(0, max(len(values) - 1, 1), _LEFT, WIDTH - _RIGHT)
    y = _Scale(math.log10(_SMALLEST_MARGIN), math.log10(highest), HEIGHT - _BOTTOM, _TOP)
    shapes = [_frame()]
    decade = 10.0 ** math.ceil(math.log10(_SMALLEST_MARGIN))
    while decade <= highest:
        at = y(math.log10(decade))
        shapes.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        shapes.append(_label(_LEFT - 6, at + 4, "end", f"{decade:g}"))
        decade *= 10
    points = "".join(
        f"M{x(place):.1f} {y(math.log10(max(value, _SMALLEST_MARGIN))):.1f}h0"
        for place, value in _largest_of_each(values)
        if value > 0
    )
    shapes.append(f'<path class="points" d="{points}"/>')
    if limit > 0:
        at = y(math.log10(max(limit, _SMALLEST_MARGIN)))
        shapes.append(f'<path class="limit" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
        above = at - 5 if at > 2 * _TOP else at + 12
        shapes.append(_label(WIDTH - _RIGHT - 4, above, "end", f"limit {limit:.2g} logits"))
    shapes.append(_label(_LEFT, HEIGHT - 8, "start", "first token"))
    shapes.append(_label(WIDTH - _RIGHT, HEIGHT - 8, "end", f"token {len(values):,}"))
    differing = sum(value > 0 for value in values)
    words = (
        f"margins of {len(values):,} tokens in logits; "
        f"{differing:,} differ, at most by {max(values):.3g}"
    )
    return _figure(words, shapes)


def _merged(steps: Sequence[Step]) -> list[Step]:
    """At most `_MOST_POINTS` steps: neighbours are drawn as one, unproven if any of them is."""
    size = -(-len(steps) // _MOST_POINTS)
    groups = [steps[at : at + size] for at in range(0, len(steps), size)]
    return [
        Step(
            group[-1].time,
            sum(step.tokens for step in group),
            all(step.proven for step in group),
        )
        for group in groups
    ]


def _largest_of_each(values: Sequence[float]) -> list[tuple[int, float]]:
    """At most `_MOST_POINTS` points: of each run of neighbours the largest."""
    size = -(-len(values) // _MOST_POINTS)
    starts = range(0, len(values), size)
    places = [max(range(at, min(at + size, len(values))), key=values.__getitem__) for at in starts]
    return [(place, values[place]) for place in places]


class _Scale:
    """A linear map from [low, high] to [first, last]."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self._low, self._first = low, first
        self._slope = (last - first) / (high - low) if high > low else 0.0

    def __call__(self, value: float) -> float:
        return self._first + (value - self._low) * self._slope


def _tokens_axis(total: int, y: _Scale) -> list[str]:
    return [_label(_LEFT - 6, y(value) + 4, "end", f"{value:,}") for value in (0, total)]


def _frame() -> str:
    return f'<path class="axis" d="M{_LEFT} {_TOP}V{HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>'


def _label(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _figure(words: str, shapes: Sequence[str], *, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{words}">'
        f"<title>{words}</title>{''.join(shapes)}</svg>"
    )
