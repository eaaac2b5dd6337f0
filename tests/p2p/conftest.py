"""Somebody who looks for nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .parts import Finder


@pytest.fixture(scope="session")
def peers() -> Iterator[Finder]:
    """One process for all tests; each call is a peer of its own."""
    with Finder() as finder:
        yield finder
