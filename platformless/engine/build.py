"""What the llama.cpp here is called: two hosts with the same name compute the same bits from the
same settings."""

from __future__ import annotations

import hashlib
import importlib.metadata

from .errors import EngineNotInstalled

try:
    import llama_cpp
except ImportError as error:  # pragma: no cover - the extra is installed where this is tested
    raise EngineNotInstalled("llama-cpp-python is not installed", got=error) from error


def llama_build() -> str:
    """The version of the package, and eight digits of the SHA-256 of llama.cpp's system info: the
    backends and instruction sets that it was built for. At most 64 characters."""
    version = importlib.metadata.version("llama-cpp-python")
    digits = hashlib.sha256(llama_cpp.llama_print_system_info()).hexdigest()[:8]
    return f"llama-cpp-python {version[:24]}, system {digits}"
