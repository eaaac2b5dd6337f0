"""A node under every kind of client at once comes back to where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import rise, soaked
from platformless.chain.devchain import DevChain

SECONDS = 30.0
MOST_GROWTH_BYTES = 24 << 20
"""In the twenty seconds after the warm-up. What a short run still adds once: SQLite's caches (2 MB
a connection), and what the allocator keeps after the largest messages. Leaks that matter are far
more: garbage alone is some megabytes a second, and thirty connections come and go in one."""


async def test_files_come_back_and_memory_does_not_grow(
    dev_chain: DevChain, tmp_path: Path
) -> None:
    report = await soaked(dev_chain, tmp_path, SECONDS)
    assert report.sessions > 0
    for kind in ("answers", "connections refused with 429", "requests refused with 429"):
        assert report.counts[kind] > 0, "the soak soaked"
    assert report.gave_files_back, f"{report.files_at_first}, then {report.files_at_last}"
    assert report.growth_bytes < MOST_GROWTH_BYTES


def test_the_line_through_samples_is_what_it_says() -> None:
    level = [(float(second), 100.0) for second in range(10)]
    rising = [(float(second), 100.0 + 5 * second) for second in range(10)]
    assert rise(level) == pytest.approx(0)
    assert rise(rising) == pytest.approx(45)
