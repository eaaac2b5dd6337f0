"""Real proofs and real processes, made once and shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from platformless.audit.sandbox import Verifier, released_verifier
from platformless.prover.binary import find_prover

DATA = Path(__file__).parents[1] / "data"
RECORD = DATA / "session-1000.json"
BUNDLE = DATA / "session-1000.bundle"
WEAK_BUNDLE = DATA / "session-weak.bundle"
WEAK_PROGRAM = DATA / "session-weak.bin"
SAMPLED_BUNDLE = DATA / "sampled.bundle"
"""A real proof of sampled cells, one of each kind, of what `sampled.py` traces."""
PARTS = (DATA / "recovery-0.bundle", DATA / "recovery-1.bundle")
WHOLE_BUNDLE = DATA / "recovery-aggregate.bundle"


@pytest.fixture(scope="session")
def golden() -> bytes:
    """The committed bundle: a real proof of the recorded session."""
    return BUNDLE.read_bytes()


@pytest.fixture(scope="session")
def whole() -> bytes:
    """The committed proof of a whole session: of both `parts`."""
    return WHOLE_BUNDLE.read_bytes()


@pytest.fixture(scope="session")
def parts() -> list[bytes]:
    """The bundles of that session's two checkpoints."""
    return [path.read_bytes() for path in PARTS]


@pytest.fixture(scope="session")
def verifier() -> Verifier:
    return released_verifier()


@pytest.fixture(scope="session")
def prover_binary() -> Path:
    return find_prover()
