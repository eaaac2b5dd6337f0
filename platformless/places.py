"""Where things are on this machine: the cache folder, and the programs built or installed in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

CACHE_FOLDER = "platformless"


def cache_folder() -> Path:
    """Folder for what is built or measured on this machine: `PLATFORMLESS_CACHE`, or the
    user's cache folder."""
    override = os.environ.get("PLATFORMLESS_CACHE")
    return Path(override) if override else platformdirs.user_cache_path(CACHE_FOLDER)


def find_program(name: str, variable: str) -> tuple[Path | None, str]:
    """The program that the environment variable names, else the one in the cache folder, else
    the one on the search path; None when there is none. Also returns where it was expected."""
    chosen = os.environ.get(variable)
    built = cache_folder() / "bin" / name
    on_path = shutil.which(name)
    candidates = [Path(chosen)] if chosen else [built, *([Path(on_path)] if on_path else [])]
    for candidate in candidates:
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate, str(candidate)
    return None, str(candidates[0])
