"""What holds for every test."""

from __future__ import annotations

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

LONGEST = (
    "tests/pipeline/test_killed.py",
    "tests/guide/",
    "tests/p2p/test_finding.py",
    "tests/registration/test_interrupted.py",
    "tests/monitoring/test_node.py",
    "tests/node/test_logged_run.py",
    "tests/backup/test_drill.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest are begun first, so that none is left for the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
