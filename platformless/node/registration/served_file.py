"""Whether the file that the node runs is one of the models that it is registered for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...engine.errors import EngineError
from ...engine.weights import weights_of
from ...protocol.digests import ModelId
from .facts import OnChain


@dataclass(frozen=True, slots=True)
class ServedFile:
    """The node's model file. No contract ever sees it: what is wrong with it is only said."""

    name: str = ""
    sha256: bytes | None = None
    """None: it was not looked at, or cannot be read."""
    problem: str = ""

    def warnings(self, models: Sequence[ModelId], found: OnChain) -> tuple[str, ...]:
        """What to say when these models are registered."""
        if self.problem:
            return (f"the model file was not checked: {self.problem}",)
        known = (found.models.get(model) for model in models)
        hashes = {model.file.file_hash.value for model in known if model is not None}
        if self.sha256 is None or self.sha256 in hashes:
            return ()
        return (
            f"{self.name}, which MODEL_PATH names, is none of these models: "
            f"its SHA-256 is 0x{self.sha256.hex()}; sessions of these models will be refused",
        )


def served_file(path: Path | None) -> ServedFile:
    """Hashes the node's file, the packaged model when it is None; a file that was seen before is
    not read again."""
    try:
        if path is None:
            # Here: it loads llama.cpp, which takes a while and may not be installed.
            from ...engine.model import packaged_model

            path = packaged_model()
        return ServedFile(path.name, weights_of(path).file_sha256)
    except EngineError as error:
        return ServedFile("" if path is None else path.name, problem=str(error))
