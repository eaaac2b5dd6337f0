"""Where the stark-prover binary is."""

from __future__ import annotations

from pathlib import Path

from ..places import find_program
from .errors import ProverNotFound


def find_prover() -> Path:
    """The binary: `STARK_PROVER`, else what `make prover` built, else the search path.

    Raises:
        ProverNotFound: when there is none.
    """
    found, expected = find_program("stark-prover", "STARK_PROVER")
    if found is None:
        raise ProverNotFound("no stark-prover binary", expected=expected, got="none")
    return found
