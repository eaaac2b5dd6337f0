"""What a model file is called, and what a sample claim must say of it.

The engine is imported when it is called: verifying proofs needs no llama.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PlatformlessError
from ..protocol.digests import WeightsRoot
from ..protocol.sample.facts import ModelFactsDigest


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The names of a model file."""

    sha256: bytes
    file_bytes: int
    weights_root: WeightsRoot
    facts: ModelFactsDigest | None
    problem: PlatformlessError | None
    """Why there are no facts: the model cannot be traced."""

    def to_json(self) -> dict[str, Any]:
        return {
            "sha256": "0x" + self.sha256.hex(),
            "bytes": self.file_bytes,
            "weights_root": str(self.weights_root),
            "model_facts": str(self.facts) if self.facts else None,
            "problem": self.problem.to_json() if self.problem else None,
        }


def identify_model(path: Path) -> ModelIdentity:
    """Reads the whole file, unless the very same one was read before.

    Raises:
        ModelNotFound, ModelUnreadable, NotGguf: when it is no model file.
    """
    from ..engine.weights import weights_of

    weights = weights_of(path)
    facts, problem = None, None
    try:
        facts = _facts_of(path)
    except PlatformlessError as error:
        problem = error
    return ModelIdentity(weights.file_sha256, weights.file_bytes, weights.root, facts, problem)


def _facts_of(path: Path) -> ModelFactsDigest:
    from ..engine.build import llama_build

    llama_build()  # says so where there is no llama.cpp
    from ..engine.gguf_header import read_header
    from ..engine.trace.facts import model_facts

    return model_facts(read_header(path)).digest
