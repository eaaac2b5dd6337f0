"""Build hook of hatchling: a package that is built in a checkout says which commit it is of."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RecordCommit(BuildHookInterface):
    """Puts the file that platformless/commit.py reads into wheels and source archives."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # its checkout says it
            return
        root = Path(self.root)
        spec = importlib.util.spec_from_file_location("commit", root / "platformless" / "commit.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found = module.commit()
        if found == module.UNKNOWN or (root / "platformless" / module.RECORD).exists():
            return
        with tempfile.NamedTemporaryFile("w", delete=False, suffix=".commit") as file:
            file.write(found + "\n")
        self._file = Path(file.name)
        build_data["force_include"][file.name] = f"platformless/{module.RECORD}"

    def finalize(self, *_told: Any) -> None:
        if file := getattr(self, "_file", None):
            file.unlink(missing_ok=True)
