"""The security review names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
REVIEW = TESTS.parent / "docs" / "security.md"


def test_every_threat_names_a_test_that_exists() -> None:
    rows = [
        line
        for line in REVIEW.read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| threat")
    ]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`([a-z_0-9/]+\.py)`", row)
        assert named, row
        for name in named:
            assert (TESTS / name).is_file(), f"{name}: {row}"
            assert "def test_" in (TESTS / name).read_text()
