"""Input that is nested without end must raise an error, not end the process."""

from __future__ import annotations

import subprocess
import sys

_PROBE = """
import importlib, pkgutil, sys
before = sys.getrecursionlimit()
import platformless
for module in pkgutil.walk_packages(platformless.__path__, "platformless."):
    if ".versions." not in module.name and not module.name.endswith(("__main__", "migrations.env")):
        importlib.import_module(module.name)
assert sys.getrecursionlimit() == before, sys.getrecursionlimit()
import msgspec
try:
    msgspec.json.decode(b"[" * 1_000_000)
except RecursionError:
    print("refused")
"""


def test_no_import_raises_the_recursion_limit() -> None:
    """A library that does (py_ecc) lets nested input overflow the stack of C."""
    probe = [sys.executable, "-c", _PROBE]
    result = subprocess.run(probe, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.strip() == "refused", result.stderr[-2000:]
