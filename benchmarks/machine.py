"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """Cores, processor and Python, as one line for a table's foot."""
    return f"Machine: {os.cpu_count()} cores, {_cpu_model()}, Python {platform.python_version()}."


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
