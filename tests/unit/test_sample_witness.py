"""Rows that are kept for later cells, in memory that large models fill."""

from __future__ import annotations

from hashlib import sha256

import pytest

from platformless.protocol.digests import StateDigest, TraceRoot
from platformless.protocol.sample.plan import SamplePlan
from platformless.protocol.sample.witness import ROOM_WORDS, kept_rows
from platformless.protocol.trace.cells import Span
from platformless.protocol.trace.challenge import Beacon, challenge
from platformless.protocol.trace.layout import TraceLayout
from platformless.protocol.trace.needs import needed_runs
from platformless.protocol.trace.nodes import ModelShape
from platformless.protocol.trace.opening import Run

SMOLLM2_135M = ModelShape(30, 576, 9, 3, 64, 1536, 49152)
SMOLLM2_1_7B = ModelShape(24, 2048, 32, 32, 64, 8192, 49152)
LLAMA_8B = ModelShape(32, 4096, 32, 8, 128, 14336, 128256)
WEIGHT_WORDS = 6000
"""More than any row of these models takes in Q8_0, with its path."""
PADDING, HEAD = 18, 3


def needs_of(shape: ModelShape, positions: int, draws: int) -> list[tuple[Run, ...]]:
    layout = TraceLayout(shape, positions)
    plan = SamplePlan.even(21 * draws, Span(0, positions)).challenged(layout)
    root, state = TraceRoot(sha256(b"root").digest()), StateDigest(sha256(b"state").digest())
    cells = challenge(root, state, Beacon(sha256(b"beacon").digest()), plan)
    return [needed_runs(layout, cell) for cell in cells]


def highest(layout: TraceLayout, needs: list[tuple[Run, ...]], kept: dict[Run, int]) -> int:
    """Words in use at the fullest moment; paths are counted as a level a digest."""
    seen: set[Run] = set()
    high = top = 0
    for runs in needs:
        low = WEIGHT_WORDS
        for run in runs:
            if run in seen:
                continue
            levels = layout.leaves(run.node).bit_length() + layout.node_count.bit_length()
            size = layout.leaf_bytes(run.node, run.position, run.first_piece)
            words = 8 * levels + HEAD + size // 4 + 1 + PADDING
            if run in kept:
                seen.add(run)
                high += words
            else:
                low += words
            top = max(top, high + low)
    return top


@pytest.mark.parametrize(
    ("shape", "positions", "draws", "fits"),
    [
        (LLAMA_8B, 8, 24, False),
        (LLAMA_8B, 1, 12, False),
        (SMOLLM2_1_7B, 1, 24, False),
        (LLAMA_8B, 60, 24, True),
        (SMOLLM2_135M, 8, 24, True),
    ],
)
def test_what_is_kept_leaves_room_for_every_cell(
    shape: ModelShape, positions: int, draws: int, fits: bool
) -> None:
    layout, needs = TraceLayout(shape, positions), needs_of(shape, positions, draws)
    kept = kept_rows(layout, needs, [WEIGHT_WORDS] * len(needs))
    assert list(kept.values()) == list(range(len(kept)))
    assert kept
    assert highest(layout, needs, kept) <= ROOM_WORDS
    wanted = list(dict.fromkeys(run for runs in needs for run in runs))
    counts = [run for runs in needs for run in runs]
    all_kept = {run: number for number, run in enumerate(wanted) if counts.count(run) > 1}
    assert (len(kept) == min(len(all_kept), 256)) == fits
