"""Where the stark-prover binary is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from .errors import ProverNotFound

CACHE_FOLDER = "platformless"


def cache_folder() -> Path:
    """Folder for what is built or measured on this machine: `PLATFORMLESS_CACHE`, or the
    user's cache folder."""
    override = os.environ.get("PLATFORMLESS_CACHE")
    return Path(override) if override else platformdirs.user_cache_path(CACHE_FOLDER)


def find_prover() -> Path:
    """The binary: `STARK_PROVER`, else what `make prover` built, else the search path.

    Raises:
        ProverNotFound: when there is none.
    """
    chosen = os.environ.get("STARK_PROVER")
    built = cache_folder() / "bin" / "stark-prover"
    if chosen:
        candidates = [Path(chosen)]
    else:
        on_path = shutil.which("stark-prover")
        candidates = [built, *([Path(on_path)] if on_path else [])]
    for candidate in candidates:
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    raise ProverNotFound("no stark-prover binary", expected=chosen or str(built), got="none")
